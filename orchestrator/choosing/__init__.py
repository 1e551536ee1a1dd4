"""`orch best` and `orch compare`: selection, comparison, and what they say."""
