"""Lanes that learn: draws, bodies, augmentations, heads, losses, optimisers, schedules, endings, the loop over epochs, metrics."""
