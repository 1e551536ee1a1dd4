"""The page itself: a frame that its script fills with what the server tells."""

from __future__ import annotations

from dashboards.page import joining
from dashboards.page.style import STYLE

MODULES = ("talk", "grid", "facts", "keys", "review")
"""Each behind those from which it imports."""
_STYLE = STYLE + joining.read("dashboards.patches", "patches.css")
_SCRIPT = joining.script("dashboards.patches", MODULES)
_BODY = """<header class="masthead"><h1>Patches</h1><p class="note" id="counts" role="status"></p></header>
<main id="main">
<div class="turn">
<button type="button" id="previous">← Previous image</button>
<label>Image <select id="fields"></select></label>
<button type="button" id="next">Next image →</button>
<button type="button" id="marked">Next marked</button>
<button type="button" id="reject-marked">Reject the marked ones here</button>
<button type="button" id="undo" disabled>Undo</button>
</div>
<p class="trouble" id="trouble" role="alert"></p>
<div class="desk">
<div class="field" id="field" role="group" aria-label="Patches of this image"></div>
<aside class="facts" id="facts" aria-live="polite"></aside>
</div>
<p class="note">Click a patch, or Space: reject it, or take that back. <kbd>X</kbd> reject, <kbd>K</kbd> keep,
arrows move, <kbd>M</kbd> next marked, <kbd>N</kbd> and <kbd>P</kbd> next and previous image, <kbd>U</kbd> undo.
A dashed frame marks a patch that may show too little or be blurred: nothing is decided by it. Hatched squares are
background and were not cut. Everything is stored at once.</p>
</main>"""


def page(nonce: str) -> str:
    """nonce: of the answer's content policy; its script and style carry it."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Patches</title>'
        f'<link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style nonce="{nonce}">{_STYLE}</style>'
        f'</head><body>{_BODY}\n<script nonce="{nonce}">{_SCRIPT}</script></body></html>\n'
    )
