"""`./dev bench`: how Berth compares, side by side in one run. Ratios, never seconds alone."""
