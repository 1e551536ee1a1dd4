"""The page served while a search runs: loopback, read-only."""
