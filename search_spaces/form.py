"""How a network is built: everything that says so but its weights. What is known without weights is known of a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Form(NamedTuple):
    """backbone: its name, resolved or as asked. image_size: side of the input in pixels, the network's own by
    default. ends_at, pooling, joined: the settings of these names."""

    backbone: str
    image_size: int | None = None
    ends_at: str = ""
    pooling: str = "own"
    joined: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether the network is as its library has it."""
        return self[2:] == ("", "own", 1)


def form_of(backbone: str, value: Callable[[str], Any]) -> Form:
    """Of values of settings by path; a size that is left out is None there and the network's own."""
    return Form(
        backbone, value("image.size"), value("network.ends_at"), value("network.pooling"), value("network.joined")
    )
