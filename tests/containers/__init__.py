"""The container's image, built on this machine alone: no registry of images takes part.

``tests.containers.image.archive()`` is the image as a file; ``python -m tests.containers`` builds
it if need be and prints its path. ``tests.containers.engine`` is podman with a storage of its own.
"""
