"""One VM's life: started, watched, shut down, and everything it needed taken down after it."""
