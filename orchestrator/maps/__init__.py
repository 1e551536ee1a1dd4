"""`orch maps STUDY`: which places of an image speak for its class, over the repeats of a configuration."""
