"""Berth's launcher: what runs inside the container and turns it into one virtual machine."""

__version__ = "0.1.0"
