"""`orch init NAME --data DIR`: a study's file, written from what the images are."""
