"""The user's data for the guest → config drive, NoCloud, Ignition."""
