"""The only door to the machine: subprocesses, kernel probes, rtnetlink, logging and errors."""
