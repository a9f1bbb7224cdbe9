"""QEMU's own format: what is in a file of it, and which of them may become a base."""
