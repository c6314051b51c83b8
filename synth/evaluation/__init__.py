"""Experiments and reports: what the pictures are worth."""
