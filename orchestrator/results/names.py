"""How a configuration is called in messages and tables."""

from __future__ import annotations

from orchestrator.store.schema import Configuration


def describe_configuration(configuration: Configuration) -> str:
    """Short and unambiguous within most studies: `inception_v3.tv_in1k n=1 lr 0.01 batch 16`."""
    c = configuration
    depth = (f" u={c.unfrozen}" if c.unfrozen else "") + (f" n={c.non_linearities}" if c.non_linearities else "")
    return f"{c.backbone.partition(':')[2]}{depth} lr {c.lr:g} batch {c.batch_size}"


def counted(number: int, what: str) -> str:
    """`1 repeat`, `2 repeats`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def words(name: str) -> str:
    """`balanced accuracy` of `balanced_accuracy`."""
    return name.replace("_", " ")
