"""`./dev demo`: Helm installs a VM on a Kubernetes of this machine alone."""
