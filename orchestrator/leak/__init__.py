"""`orch data leak STUDY`: what a split that divides groups would have shown."""
