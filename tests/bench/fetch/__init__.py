"""How long it takes until an image is a base, beside what people would use instead."""
