"""`orch plan`: what a search would take, from a few steps measured on this machine."""
