"""Figures as files for a paper, and as plotly objects for a notebook."""
