"""Ways to make a map, one file each; `orchestrator.maps.registry` names them all."""
