"""`orch data split DIR`: partitions that a study could have, compared, and one of them written as a table to share."""
