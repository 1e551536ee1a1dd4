"""How much each member counts: one file for each way, `orchestrator.ensembles.ways` lists them."""
