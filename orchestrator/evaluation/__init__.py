"""`orch evaluate`: the test split, opened once and counted; nested evaluation."""
