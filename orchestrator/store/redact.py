"""Keeping passwords and keys out of everything that is shown or stored."""

from __future__ import annotations

import os
import re

_VARIABLES = re.compile(r"(SECRET|TOKEN|PASSWORD|ACCESS_KEY|CREDENTIAL|ACCOUNT_KEY)", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(r"(?i)([?&;](?:[\w-]*(?:key|secret|token|signature|sig|password|credential)[\w-]*)=)[^&\s'\"]+")
_SHORTEST = 6
"""Values of variables below this length are too common in other words to be replaced."""


def without_secrets(text: str) -> str:
    """`text` without user names and passwords of addresses, signed queries, and values of secret variables."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _VARIABLES.search(name) and "/" not in value[:1]:
            text = text.replace(value, "…")
    return _QUERY.sub(r"\1…", _USER.sub("…@", text))


def has_secrets(address: str) -> bool:
    """Whether an address itself carries a password, a key or a signed query."""
    return bool(_USER.search(address) or _QUERY.search(address))
