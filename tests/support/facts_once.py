"""What libraries say of a network is asked once by a process: building and tracing one takes longer than what most
tests do with it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import pytest

from trainables.network import known_backbones


@contextlib.contextmanager
def facts_once() -> Iterator[None]:
    """What a cache of facts does not hold is remembered, whatever cache it is. Faults are found each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(known_backbones, "architecture_of", functools.cache(known_backbones.architecture_of))
        yield
