"""Hours, energy and CO₂ equivalent of a study, and the passes that caching saved. No torch."""
