"""Training of networks: one loop, one file per recipe."""
