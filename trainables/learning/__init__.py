"""Lanes that learn: draws, heads, optimisers, the loop over epochs, metrics."""
