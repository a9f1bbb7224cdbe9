"""Environment → one frozen `Settings`; all problems at once."""
