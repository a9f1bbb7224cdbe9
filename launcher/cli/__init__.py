"""Commands: `startvm`, the container's entrypoint, and `berth`, the operator's."""
