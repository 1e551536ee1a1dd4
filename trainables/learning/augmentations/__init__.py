"""Augmentations: what is drawn anew for each batch."""
