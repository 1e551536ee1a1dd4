"""A written page taken apart for live service: what is sent again is only what changed.

The page is our own HTML, in which nothing from a file stands unescaped: a "<" always begins a tag.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.page.packing import unpacked_text

LIBRARY = "library"
"""The id of the element that holds plotly, packed: a page that is served has it unpacked."""

_TAG = re.compile(r"<script\b(?P<script>[^>]*)>|<section\b(?P<section>[^>]*)>|(?P<end></section>)")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_IDENTITY = re.compile(r'\bid="([\w-]+)"')
_REFERENCE = re.compile(r'(?<!\bid)="([\w-]+)"')


@dataclass(frozen=True)
class Parts:
    """head: between <head> and </head>, without the page's own policy. frame: the body with empty sections.

    sections: id → content. data: id → the element that holds compressed data; an id ends in a hash of the content, in
    the references as well, so that changed data are other data. libraries and script: what the browser executes, the
    page's own script last.
    """

    head: str
    frame: str
    sections: dict[str, str]
    data: dict[str, str]
    libraries: tuple[str, ...]
    script: str


def take_apart(html: str) -> Parts:
    """Raises ValueError for a text that is no page of ours."""
    opening, body_at = html.find("<head>"), html.find("<body>")
    if opening < 0 or body_at < 0 or not html.rstrip().endswith("</body></html>"):
        raise ValueError("expected a page with a head and a body")
    head = html[opening + len("<head>") : html.index("</head>")]
    frame: list[str] = []
    sections: dict[str, str] = {}
    data: dict[str, tuple[str, str]] = {}
    scripts: list[str] = []
    place = ""
    for kind, value in _tokens(html, body_at + len("<body>"), html.rindex("</body>")):
        if kind == "opens":
            place = _identity(value)
            frame.append(value)
        elif kind == "closes":
            place = ""
            frame.append(value)
        elif kind == "text" and place:
            sections[place] = sections.get(place, "") + value
        elif kind == "text":
            frame.append(value)
        else:
            attributes, _, content = value.partition(">")
            if f'id="{LIBRARY}"' in attributes:
                scripts.append(unpacked_text(content).decode())
            elif "type=" in attributes:
                data[_identity(attributes)] = f"<script{attributes}>{content}</script>", content
            else:
                scripts.append(content)
    text = "".join(frame)
    named = _names([text, *sections.values()], data)
    return Parts(
        head=_POLICY.sub("", head),
        frame=_renamed(text, named),
        sections={name: _renamed(content, named) for name, content in sections.items()},
        data={
            named.get(name, name): element.replace(f'id="{name}"', f'id="{named.get(name, name)}"', 1)
            for name, (element, _) in data.items()
        },
        libraries=tuple(scripts[:-1]),
        script=scripts[-1] if scripts else "",
    )


def put_together(parts: Parts, nonce: str, before: str, around: tuple[str, str], style: str) -> list[str]:
    """The page as it is served, in pieces, of which the large ones are those of `parts`: they are there once, however
    many readers there are. Every script carries the nonce, `before` runs ahead of the page's own script.

    around: what stands before and behind the page's script in its element.
    """
    tag = f'<script nonce="{nonce}">'
    body, seen = list[str](), 0
    for opening in _TAG.finditer(parts.frame):
        body += [parts.frame[seen : opening.end()], _content(parts, opening["section"])]
        seen = opening.end()
    data = [piece for element in parts.data.values() for piece in ("\n", element)]
    libraries = [piece for library in parts.libraries for piece in (f"\n{tag}", library, "</script>")]
    return [
        f'<!DOCTYPE html>\n<html lang="en"><head>{parts.head}<style>{style}</style></head><body>',
        *body,
        parts.frame[seen:],
        *data,
        *libraries,
        f"\n{tag}{before}</script>\n{tag}{around[0]}",
        parts.script,
        f"{around[1]}</script></body></html>\n",
    ]


def _tokens(html: str, at: int, end: int) -> Iterator[tuple[str, str]]:
    """("text", …), ("opens", tag), ("closes", tag) of outermost sections, and ("script", attributes>content)."""
    depth, seen = 0, at
    while (tag := _TAG.search(html, at, end)) is not None:
        at = tag.end()
        if tag["script"] is not None:
            yield "text", html[seen : tag.start()]
            closing = html.index("</script>", at)
            yield "script", f"{tag['script']}>{html[at:closing]}"
            seen = at = closing + len("</script>")
            continue
        outermost = depth == (0 if tag["section"] is not None else 1)
        depth += 1 if tag["section"] is not None else -1
        if outermost:
            yield "text", html[seen : tag.start()]
            yield ("opens" if depth else "closes"), tag[0]
            seen = at
    yield "text", html[seen:end]


def _content(parts: Parts, attributes: str | None) -> str:
    return parts.sections.get(_identity(attributes), "") if attributes is not None else ""


def _identity(attributes: str) -> str:
    identity = _IDENTITY.search(attributes)
    if identity is None:
        raise ValueError(f"expected an id in {attributes[:80]!r}")
    return identity[1]


def _names(texts: list[str], data: dict[str, tuple[str, str]]) -> dict[str, str]:
    """New names, with a hash of the content, of the data that some attribute refers to."""
    referred = {name for text in texts for name in _REFERENCE.findall(text)} & set(data)
    return {name: f"{name}-{hashlib.sha256(data[name][1].encode()).hexdigest()[:12]}" for name in sorted(referred)}


def _renamed(text: str, named: dict[str, str]) -> str:
    return _REFERENCE.sub(lambda reference: f'="{named.get(reference[1], reference[1])}"', text)
