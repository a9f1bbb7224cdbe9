"""The pet: a VM's own disk on top of a base, its record, and the extra disks beside it."""
