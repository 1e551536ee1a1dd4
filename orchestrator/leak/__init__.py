"""`orch data leak`: what a split that divides groups would have shown."""
