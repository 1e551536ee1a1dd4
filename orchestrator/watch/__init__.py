"""Looking at a study while others write to it."""
