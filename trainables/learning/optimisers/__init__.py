"""Rules that change weights, one file each, and the optimiser that holds their state for a stack."""
