"""Snapshots that a pet holds inside of its own file: names, what is known of them, changes."""
