"""Scripts and style sheets that lie in files of their own, beside a module: joined into what stands in a page.

A script is an ES module, so that an editor and a linter see what it takes from where. A page from disk cannot import
(its address is no origin), so all modules stand in one script: each in a function of its own, which takes what it
imports from those before it and returns what it exports.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w-]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const) (\w+))", re.MULTILINE)


def script(package: str, modules: Sequence[str]) -> str:
    """The modules of a package's `assets` as one script, each behind those from which it imports."""
    closed = "".join(_closed(name, read(package, f"{name}.js")) for name in modules)
    return f'(() => {{\n"use strict";\nconst modules = {{}};\n{closed}}})();\n'


def read(package: str, name: str) -> str:
    """The text of a file of a package's `assets`."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def _closed(name: str, module: str) -> str:
    exported = ", ".join(name for _, name in _EXPORT.findall(module))
    body = _IMPORT.sub(r'const \1 = modules["\2"];', _EXPORT.sub(r"\1", module))
    return f'modules["{name}"] = (() => {{\n{body}return {{ {exported} }};\n}})();\n'
