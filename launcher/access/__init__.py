"""Ways in for people: the serial console and the screen."""
