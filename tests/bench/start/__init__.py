"""How long a start takes, beside shell that does the same and QEMU alone."""
