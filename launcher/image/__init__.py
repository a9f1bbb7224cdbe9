"""IMG_SOURCE → a verified, immutable base on the shared volume."""
