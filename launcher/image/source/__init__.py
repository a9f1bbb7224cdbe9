"""An address → its bytes."""
