"""`./dev demo`: a VM with an address of its own on this machine, in a pod-shaped namespace."""
