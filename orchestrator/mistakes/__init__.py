"""`orch mistakes STUDY`: which images are predicted wrong, where, by how many, and which labels may be at fault."""
