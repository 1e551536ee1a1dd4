"""Lanes that learn: draws, augmentations, bodies, heads, losses, optimisers, schedules, endings, the loop, metrics."""
