"""Reads records, draws."""
