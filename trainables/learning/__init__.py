"""Lanes that learn: draws, heads, losses, optimisers, schedules, endings, the loop over epochs, metrics."""
