"""Heads: what they are, as plain modules, and how lanes of them learn together."""
