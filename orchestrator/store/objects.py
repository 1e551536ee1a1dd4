"""A study in an object store, through fsspec: S3 by s3fs, others by their own packages.

An object store has no rename and needs none: a PUT is atomic, and one with `If-None-Match: *` creates exclusively.
Every call is tried again for a bounded time where the store is busy, slow or cut off. A create whose answer was lost
may have succeeded, so each carries a mark of its own by which the writer recognises its object afterwards.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from orchestrator.store.errors import MissingFileError, StorageError
from orchestrator.store.kinds import check_size, check_start, most_read
from orchestrator.store.redact import without_secrets
from orchestrator.store.storage import TEMPORARY_PREFIX, checked_path

GIVE_UP_AFTER_S = 120.0
"""No call is tried again where that might end later than this after it began."""
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 15.0
"""Between two bytes of an answer."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0

_FIRST = 1 << 24
"""Bytes that are asked for at first: most objects are smaller, and a record's say whether the rest is worth it."""
_MARK = "orch-writer"
_BUSY_STATUS = frozenset({408, 409, 425, 429})
_BUSY_CODES = frozenset({"IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "RequestTimeout", "SlowDown"})
_ADVICE = "Everything up to the last checkpoint is kept: run the same command again when the store answers."
_ADVICE_BY_CAUSE = (
    (
        re.compile(
            r"Access ?Denied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|credential|profile", re.I
        ),
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or AWS_PROFILE), and what they may do.",
    ),
    (re.compile(r"RequestTimeTooSkewed"), "Correct this machine's clock, then run the same command again."),
    (
        re.compile(r"NoSuchBucket|bucket does not exist|Invalid bucket name", re.I),
        "Make the bucket first, or correct its name.",
    ),
    (
        re.compile(r"ReadTimeout"),
        "The store takes requests and does not answer them. What is stored is kept: run the same command again when it "
        "does.",
    ),
    (
        re.compile(r"Could not connect|EndpointConnectionError|ConnectTimeout|InvalidSchema", re.I),
        "Check the network and AWS_ENDPOINT_URL. What is stored is kept: run the same command again when it answers.",
    ),
)

T = TypeVar("T")


def s3_options(endpoint: str | None = None) -> dict[str, Any]:
    """What s3fs is opened with: bounded waiting, no repetition behind our back, no cached listings."""
    options: dict[str, Any] = {
        "config_kwargs": {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": READ_TIMEOUT_S,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
        },
        "use_listings_cache": False,
        "max_concurrency": 1,
    }
    return options | ({"endpoint_url": endpoint} if endpoint else {})


class ObjectStorage:
    """A study below `root` ("bucket/prefix") of an fsspec file system. Thread-safe; not to be used across a fork."""

    def __init__(self, files: Any, root: str, give_up_after_s: float = GIVE_UP_AFTER_S) -> None:
        self.files = files
        self.root = root.strip("/")
        self.give_up_after_s = give_up_after_s
        protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
        self._name = f"{protocol}://{self.root}"
        self._is_s3 = "s3" in ([files.protocol] if isinstance(files.protocol, str) else files.protocol)
        if self._is_s3:
            files.retries = 1  # s3fs repeats by itself otherwise, and then nobody knows whose object was there first

    def __repr__(self) -> str:
        return f"ObjectStorage({self._name!r})"

    def read(self, path: str) -> bytes:
        full, most = self._full(path), most_read(path)
        try:
            content = self._tried("read", path, lambda: self._part(full, 0, min(_FIRST, most + 1)))
            if len(content) == _FIRST:
                check_start(path, content)
                content += self._tried("read", path, lambda: self._part(full, _FIRST, most + 1))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise MissingFileError(path) from None
        check_size(path, len(content), self.read)
        return content

    def list(self, folder: str) -> list[str]:
        full = self._full(folder)
        try:
            paths = self._tried("list", folder, lambda: self.files.ls(full, detail=False, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = [str(name).strip("/") for name in paths]
        below = [name.removeprefix(f"{full}/") for name in names if name.startswith(f"{full}/")]
        return sorted({name for name in below if name and "/" not in name and not name.startswith(TEMPORARY_PREFIX)})

    def create(self, path: str, content: bytes) -> bool:
        full, mark = self._full(path), uuid.uuid4().hex
        marked = {"Metadata": {_MARK: mark}} if self._is_s3 else {}
        tries = 0

        def put() -> bool:
            nonlocal tries
            tries += 1
            try:
                self.files.pipe_file(full, content, mode="create", **marked)
            except Exception as error:
                if not _says_it_exists(error):
                    raise
                # an earlier try, also one of the network library's own, may have arrived although its answer did not
                return (self._is_s3 or tries > 1) and self._is_own(full, content, mark)
            return True

        return self._tried("write", path, put)

    def replace(self, path: str, content: bytes) -> None:
        full = self._full(path)
        kind = {"ContentType": "text/html; charset=utf-8"} if self._is_s3 and path.endswith(".html") else {}
        self._tried("write", path, lambda: self.files.pipe_file(full, content, **kind))

    def delete(self, path: str) -> None:
        full = self._full(path)

        def remove() -> None:
            try:
                self.files.rm_file(full)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise

        self._tried("delete", path, remove)

    def rename(self, path: str, name: str) -> None:
        full, other = self._full(path), self._full(name)
        try:
            self._tried("read", path, lambda: self.files.cp_file(full, other))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return
        self.delete(path)

    def _part(self, full: str, start: int, end: int) -> bytes:
        """Bytes of an object from `start` to before `end`, or its end."""
        try:
            content: bytes = self.files.cat_file(full, start=start, end=end)
        except Exception as error:
            if _status(error) != 416:  # nothing lies behind its end
                raise
            return b""
        return content

    def _full(self, path: str) -> str:
        return "/".join([self.root, *checked_path(path).parts])

    def _is_own(self, full: str, content: bytes, mark: str) -> bool:
        """Whether the object is this very call's; where a store keeps no marks, whether it holds the same."""
        if self._is_s3:
            return bool(self.files.metadata(full, refresh=True).get(_MARK) == mark)
        return bool(self.files.cat_file(full) == content)

    def _tried(self, act: str, path: str, call: Callable[[], T]) -> T:
        """The call's result, tried again while that may help; FileNotFoundError of a missing file passes through."""
        until = time.monotonic() + self.give_up_after_s
        pause, tries = FIRST_PAUSE_S, 0
        while True:
            tries += 1
            began = time.monotonic()
            try:
                return call()
            except Exception as error:
                took = time.monotonic() - began
                missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
                if missing and act in ("read", "list") and _code(error) != "NoSuchBucket":
                    raise
                if not _may_pass(error) or time.monotonic() + pause + took > until:
                    raise self._failed(act, path, error, tries) from None  # its own text may hold secrets
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _failed(self, act: str, path: str, error: Exception, tries: int) -> StorageError:
        lines = str(error).strip().splitlines()
        lines = lines[: 2 if lines and lines[0].endswith(":") else 1]
        cause = without_secrets(
            ": ".join([_code(error) or type(error).__name__, *(line.rstrip(":") for line in lines)])
        )
        advice = next((text for pattern, text in _ADVICE_BY_CAUSE if pattern.search(cause)), _ADVICE)
        often = f" ({tries} tries)" if tries > 1 else ""
        where = self._name if path.startswith(TEMPORARY_PREFIX) else f"{self._name}/{path}".rstrip("/")
        return StorageError(f"cannot {act} {where}: {cause[:300]}{often}", advice)


def _response(error: BaseException) -> Mapping[str, Any]:
    """What the server answered, also where the file system translated it to one of Python's own errors."""
    for candidate in (error, error.__cause__):
        response = getattr(candidate, "response", None)
        if isinstance(response, Mapping):
            return response
    return {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int | None:
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None


def _says_it_exists(error: BaseException) -> bool:
    return isinstance(error, FileExistsError) or _code(error) == "PreconditionFailed" or _status(error) == 412


def _may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later: the server is busy or broken, or it was not reached at all."""
    status = _status(error)
    if status is not None:
        busy = status in _BUSY_STATUS or (status >= 500 and status != 501)
        return busy or _code(error) in _BUSY_CODES
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"HTTPClientError", "ClientError", "ResponseParserError", "IncompleteRead", "ConnectionError"})
