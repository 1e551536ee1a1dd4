"""How a partition was made, in the words of pages and cards."""

from __future__ import annotations


def how_divided(policy: str, seed: object) -> str:
    """A sentence without its full stop, from what the partition's file says of itself."""
    if policy == "given":
        return "The splits came with the data"
    if policy == "valid_from_train":
        return (
            "The test split came with the data, and valid was drawn from the given train split by whole groups, as the "
            f"policy stratified does (--valid-from-train, seed {seed})"
        )
    return f"Groups are divided by the policy {policy} (seed {seed})"
