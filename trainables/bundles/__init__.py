"""Segments from whatever is on disk to their final records: work, attempts, recipes, stacks, states, weights."""
