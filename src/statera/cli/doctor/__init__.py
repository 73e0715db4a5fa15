"""`statera doctor`: what this machine lacks, in plain words, and what mends it."""
