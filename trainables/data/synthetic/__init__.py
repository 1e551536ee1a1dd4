"""Synthetic images in the place of those of the studies: a file for each kind."""
