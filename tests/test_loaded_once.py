"""Every file of the tests is loaded under one name: a class that exists twice is equal to nothing."""

from __future__ import annotations

import sys
from collections import defaultdict

from tests.support.checkout import ROOT


def test_no_file_is_loaded_under_two_names() -> None:
    names = defaultdict(set)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(f"{ROOT / 'tests'}/"):
            names[file].add(name)
    assert f"{ROOT / 'tests' / 'support' / 'checkout.py'}" in names
    assert {file: found for file, found in names.items() if len(found) > 1} == {}
