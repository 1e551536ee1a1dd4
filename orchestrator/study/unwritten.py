"""A study that is not on disk yet: it is planned, or its settings may still turn out to be impossible."""

from __future__ import annotations

from collections.abc import Mapping


class UnwrittenStudy:
    """Files in memory under the storage contract; `files` is what a study's folder would hold."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def list(self, folder: str) -> list[str]:
        inside = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]
        return sorted({path.partition("/")[0] for path in inside})

    def create(self, path: str, content: bytes) -> bool:
        if path in self.files:
            return False
        self.files[path] = content
        return True

    def replace(self, path: str, content: bytes) -> None:
        self.files[path] = content

    def delete(self, path: str) -> None:
        self.files.pop(path, None)

    def rename(self, path: str, name: str) -> None:
        if path in self.files:
            self.files[name] = self.files.pop(path)
