"""`orch best STUDY` and `orch compare STUDY STUDY`: selection, comparison, and what they say."""
