"""`orch data check DIR`: everything that can be said of images before a study exists."""
