"""The page of `orch data check DIR`: what was found of images before a study, with small pictures."""
