"""One bundle from whatever is on disk to its final records: work, attempts, recipes, stacks, failures, weights."""
