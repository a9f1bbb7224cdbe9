"""What the bytes of an image are: told apart, unpacked, judged, converted."""
