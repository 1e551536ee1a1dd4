"""How one bundle learns. Runs without a cluster; Ray in `trial.py` alone."""
