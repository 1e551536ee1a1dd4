"""Who says what to train next: proposers, and the decisions that come of them. No torch, no Ray, no click."""
