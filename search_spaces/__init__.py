"""What to try: the settings, TOML files of studies, grids, and from them configurations. No torch, no Ray."""
