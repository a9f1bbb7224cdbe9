"""What the VM is made of, as values, and QEMU's command line for it. Nothing here acts."""
