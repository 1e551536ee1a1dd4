"""Bodies: what turns inputs into the features that heads read."""
