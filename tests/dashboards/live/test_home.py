"""The page of all studies, written and served, without a browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dashboards.live.home import HomeServer, live_link
from dashboards.page.home import home_page
from dashboards.page.parts import take_apart
from orchestrator.command_line import main
from orchestrator.results.overview import Overview, overview
from orchestrator.results.statistic import Statistic
from orchestrator.store.errors import InputError
from orchestrator.store.place import Place
from orchestrator.watch.all_studies import AllStudies, glances
from tests.support.desk import refused
from tests.support.generated_study import small_study

NOW = "2026-12-01T10:00:00+00:00"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that is done, one that lacks a repeat of each configuration, and one that cannot be read."""
    root = tmp_path_factory.mktemp("studies")
    small_study(root / "slides", name="slides", synthetic=False)
    small_study(root / "cells-demo", name="cells-demo", skip=lambda _, repeat: repeat == 2)
    (root / "torn").mkdir()
    (root / "torn" / "study.toml").write_text("no study")
    return root


def orch(studies: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--studies", str(studies)])


def test_studies_at_a_glance(studies: Path) -> None:
    found = {one.name: one for one in glances(Place.of(studies))}
    done, stopped, torn = found["slides"], found["cells-demo"], found["torn"]
    assert (done.state, done.done, done.asked, done.configurations) == ("done", 24, 24, 8)
    assert done.score is not None
    assert (done.by, done.score.n) == ("loss", 3)
    assert done.best.startswith("resnet18")
    assert not done.synthetic
    assert (stopped.state, stopped.done, stopped.best) == ("stopped, 8 waiting", 16, "")
    assert torn.state == "cannot be read: orch status torn"


def test_a_list_of_all_studies(studies: Path, tmp_path: Path) -> None:
    told = orch(studies, "list")
    assert told.exit_code == 0
    assert [line.split()[0] for line in told.stdout.splitlines()] == [
        "study",
        *(one.name for one in glances(Place.of(studies))),
    ]
    data = {one["study"]: one for one in json.loads(orch(studies, "list", "--json").stdout)["studies"]}
    assert data["slides"]["best"]["n"] == 3
    assert data["torn"]["best"] is None
    refused(orch(tmp_path, "list"), "expected studies, found none")


def test_the_last_change_is_none_of_what_is_derived(tmp_path: Path) -> None:
    """A page that is written again, or histories, are no news; a result is."""
    storage, made = small_study(tmp_path / "slides", skip=lambda _, repeat: repeat == 2)
    for folder in [storage.root, *(one for one in storage.root.rglob("*") if one.is_dir())]:
        _touch(folder, 1_000_000_000)
    before = overview(storage, "slides")
    storage.replace("dashboard.html", b"a page")
    storage.replace("histories/part", b"gathered")
    assert overview(storage, "slides").changed == before.changed == "2001-09-09T01:46:40+00:00"
    made.write_final(storage, made.configurations()[0], 2, made.epochs)
    assert overview(storage, "slides").changed > "2026"


def _touch(folder: Path, at: int) -> None:
    os.utime(folder, (at, at))


def test_the_page_of_all_studies_links_to_theirs(studies: Path) -> None:
    orch(studies, "dashboard", "slides")
    told = orch(studies, "dashboard")
    assert told.exit_code == 0, told.output
    page = (studies / "index.html").read_text()
    assert told.stdout == f"{studies / 'index.html'}\n"
    assert re.findall(r'<a href="([^"#]+)"', page) == ["slides/dashboard.html"]
    assert str(studies) not in page, "no folder of a machine"
    assert "orch dashboard cells-demo" in page
    refused(orch(studies, "dashboard", "--with-images"), "go with the written page of a single study")


def test_nothing_of_a_study_gets_into_the_page_unescaped() -> None:
    bad = "<script>alert(1)</script>"
    study = Overview(bad, bad, best=bad, by=bad, score=Statistic.of(np.array([0.5])), changed=bad)
    page = home_page([study], NOW, lambda _: bad)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") == 6
    assert take_apart(page).sections.keys() == {"studies"}


@contextmanager
def served(studies: Path) -> Iterator[HomeServer]:
    everything = AllStudies(Place.of(studies))

    def opened(name: str) -> tuple[object, object]:
        if name != "slides":
            raise InputError("no such study")
        return lambda: ("1", {}), lambda: home_page([], NOW, live_link).replace("Studies", "Slides")

    def write() -> str:
        return home_page(everything.overviews(), NOW, live_link)

    server = HomeServer("127.0.0.1", 0, everything.look, write, opened)  # type: ignore[arg-type]  # stands in for it
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_studies_are_served_with_their_pages(studies: Path) -> None:
    with served(studies) as server:

        def ask(path: str) -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read().decode()
            connection.close()
            return answer.status, content

        status, page = ask("/")
        assert status == 200
        assert {"studies/slides/", "studies/cells-demo/"} <= set(re.findall(r'<a href="([^"#]+)"', page))
        status, update = ask("/update?since=")
        assert json.loads(update)["now"]["repeats"] == [40, 48], "of both studies that can be read"
        status, page = ask("/studies/slides/")
        assert (status, "<h1>Slides</h1>" in page) == (200, True)
        assert ask("/studies/slides/update?since=")[0] == 200
        assert ask("/studies/none/")[0] == ask("/studies/..%2Fslides/")[0] == ask("/studies/slides")[0] == 404


def test_only_what_changed_is_read_again(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = AllStudies(Place.of(studies))
    read: list[str] = []

    def glance(_: Place, name: str) -> Overview:
        read.append(name)
        return Overview(name, "done")

    monkeypatch.setattr("orchestrator.watch.all_studies.glance", glance)
    everything.look()
    everything.overviews()
    assert sorted(read) == ["cells-demo", "slides", "torn"]
    everything._stamps["slides"] = "another"
    everything.overviews()
    assert sorted(read) == ["cells-demo", "slides", "slides", "torn"]
