"""Backbones: names, weights, weight layers, the traced graph, and where its frozen part ends."""
