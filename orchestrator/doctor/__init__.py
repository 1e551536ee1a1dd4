"""`orch doctor`: what this machine has and lacks for a search, and how each is mended."""
