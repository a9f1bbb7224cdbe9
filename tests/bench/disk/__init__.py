"""What small writes to a pet cost, beside an overlay as `qemu-img create` makes it."""
