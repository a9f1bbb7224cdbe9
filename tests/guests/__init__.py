"""Virtual machines to test with, built from Debian packages and kept in a cache.

``tests.guests.tiny.image()`` is a small guest that answers ssh within seconds even when its
processor is emulated; ``tests.guests.debian.image()`` is a Debian system with the real cloud-init.
``python -m tests.guests tiny`` (or ``debian``) builds the image if need be and prints its path.
"""
