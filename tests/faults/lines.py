"""Lines of a pipe, for who waits for several things at once."""

from __future__ import annotations

import os


class Lines:
    """Lines of a pipe for `select`: what was read and not yet given out counts as readable."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def readline(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._descriptor, 1)
            if not byte:
                break
            line += byte
        return line.decode()
