"""What a live page has beside its own script and style: it asks for changes, brings them in, and shows who works."""

from __future__ import annotations

import json

from dashboards.page import joining

MODULES = ("served", "alignment", "merge", "runs", "now", "updates")
"""Each behind those from which it imports."""
AROUND = ("orchLive.take(Plotly => {\n", "\n});")
"""Before and behind the page's own script, which is run again whenever something changed."""
STYLE = joining.read("dashboards.live", "live.css")
_SCRIPT = joining.script("dashboards.live", MODULES)


def script(revision: str) -> str:
    """Runs ahead of the page's own; revision: the one that is served."""
    return f"const REVISION = {json.dumps(revision)};\n{_SCRIPT}"
