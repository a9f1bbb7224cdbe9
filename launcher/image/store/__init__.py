"""The bases that are on the shared volume, and who they are for."""
