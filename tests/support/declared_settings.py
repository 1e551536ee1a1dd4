"""Declares settings that the program does not have, and prints as JSON where they turn up.

Run as a process of its own, for a configuration is composed once: python -m tests.support.declared_settings
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, Strict, create_model

from search_spaces.settings import head
from search_spaces.settings.declaration import Setting, Touch, When

STACKABLE = "step"


def declaration(touch: Touch) -> Any:
    """A number from 0 to 4 that touches one thing, 0 by default; it matters with the added layers of the head alone."""
    setting = Setting(
        f"number of {touch}",
        f"Touches {touch}.",
        (touch,),
        stackable=touch == STACKABLE,
        scale="linear",
        short="loudness" if touch is Touch.SELECTION else "",
        matters_when=When("head.non_linearities", above=0),
        neutral=0.0,
    )
    return Annotated[float, Strict(), Field(ge=0, le=4), setting], 0.0


head.Head = create_model("Head", __base__=head.Head, **{touch.value: declaration(touch) for touch in Touch})  # type: ignore[misc]
PATHS = [f"head.{touch}" for touch in Touch]
SPACE = """
name = "mine"
head = { pixels = 1.5, samples = [0.5, 2.5] }
[extension]
non_linearities = [1]
lr = 0.1
batch_size = [8]
loudness = [1.0, 3.0]
"""
WRONG = """
name = "mine"
[head]
pixels = 5
samples = [1.0, -1.0, "x"]
networc = 1
[grid]
loudness = 4.5
"""


def observed() -> dict[str, Any]:

    import pandas as pd
    from click.testing import CliRunner

    from orchestrator.command_line import main
    from orchestrator.store.errors import InputError
    from orchestrator.store.schema import parse_toml
    from search_spaces.changes import Typed, changes_of
    from search_spaces.configuration import Configuration, column_names, differing
    from search_spaces.loader import default_space, parse_space
    from search_spaces.points import points
    from tests.support.configurations import configured
    from trainables.features.pixels import pixel_key
    from trainables.features.samples import samples_key
    from trainables.features.store import feature_key
    from trainables.network.opened import network_key

    def told(read: Any) -> list[str]:
        try:
            read()
        except InputError as error:
            return error.message.split("\n")
        return []

    def keys(c: Configuration) -> dict[str, Any]:
        third = (0.5, 0.5, 0.5)
        return {
            "pixels": pixel_key(pd.DataFrame({"content": ["a"]}), c),
            "samples": samples_key(c, "p"),
            "network": network_key(c),
            "features": feature_key(c, third, third, "layer", ((3,),)),
            "stack": c.stack_key(),
            "id": c.id,
        }

    plain = configured(non_linearities=1)
    base = keys(plain)
    changed = {path: plain.with_values({path: 1.5}) for path in PATHS}
    found = points(parse_space(SPACE, "mine.toml"), "x", small=False)
    typed = [Typed(f"--set {path}", path, "0.5, 4") for path in PATHS]
    asked = points(default_space(), "x", changes_of(typed), small=False)
    help_text = CliRunner().invoke(main, ["plan", "--help"]).output
    return {
        "id": plain.id,
        "id without": configured(non_linearities=0, **dict.fromkeys(PATHS, 3.0)).id,
        "file": sorted({tuple(p.values[path] for path in PATHS) for p in found}),
        "faults": told(lambda: parse_space(WRONG, "mine.toml")),
        "set": {path: sorted({p.values[path] for p in asked if p.non_linearities}) for path in PATHS},
        "set wrong": told(lambda: changes_of([Typed(f"--set {path}", path, "9") for path in PATHS])),
        "option": "--loudness" in help_text,
        "listed": [
            row
            for row in json.loads(CliRunner().invoke(main, ["spaces", "settings", "--json"]).output)
            if row["setting"] in PATHS
        ],
        "moves": {
            path: [name for name, value in keys(c).items() if value != base[name]] for path, c in changed.items()
        },
        "columns": {name: value for name, value in changed["head.pixels"].columns().items() if name in PATHS},
        "names": [name for name in column_names() if name in (*PATHS, "loudness")],
        "differing": [one.path for one in differing([plain, *changed.values()])],
        "kept": all(parse_toml(Configuration, c.to_toml(), "x") == c for c in changed.values()),
    }


if __name__ == "__main__":
    print(json.dumps(observed()))
