"""Where the checkout lies, and the folder of images and weights that may lie beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
"""Tests that need it skip, visibly, where it is missing."""
