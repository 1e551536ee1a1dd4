"""`orch ensemble STUDY`: what configurations are worth together, from the predictions that a study kept."""
