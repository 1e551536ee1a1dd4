"""TOML and JSON of files that anybody may have written: as deep as records are and no deeper, one error for all."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.store.errors import DamagedRecordError, first_line

DEEPEST = 64
"""Levels of tables and lists; records have six."""

_PART = rb"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_MANY_PARTS = re.compile(rb"(?<![\w-])(?:%s[ \t]*+\.[ \t]*+){%d}" % (_PART, DEEPEST))
"""A key of TOML with more parts than that: reading one takes the square of their number in time."""


def parsed_toml(content: bytes, name: str, what: str = "valid TOML") -> dict[str, Any]:
    """Raises DamagedRecordError: the file `name` is not `what`."""
    import tomllib

    try:
        if _MANY_PARTS.search(content):
            raise ValueError(_too_deep())
        table = tomllib.loads(content.decode())
        _check_depth(table)
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError(f"{name} is not {what}: {_cause(error)}") from None
    return table


def parsed_json(content: bytes | str, name: str) -> Any:
    """Raises DamagedRecordError."""
    try:
        document = json.loads(content)
        _check_depth(document)
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError(f"{name} is not valid JSON: {_cause(error)}") from None
    return document


def json_object(content: bytes | str, name: str) -> dict[str, Any]:
    """JSON whose value is an object. Raises DamagedRecordError."""
    parsed = parsed_json(content, name)
    if not isinstance(parsed, dict):
        raise DamagedRecordError(f"{name}: expected a JSON object, found a {type(parsed).__name__}")
    return parsed


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(_too_deep())
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [item for several in inside for item in several if isinstance(item, dict | list)]


def _too_deep() -> str:
    return f"expected at most {DEEPEST} levels, found more"


def _cause(error: Exception) -> str:
    return _too_deep() if isinstance(error, RecursionError) else first_line(error)
