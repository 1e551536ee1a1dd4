"""`orch forget` and `orch rename`: what goes of a study, whether anybody works on it, and how it goes."""
