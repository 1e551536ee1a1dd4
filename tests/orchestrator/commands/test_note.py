"""Notes and tags of a study: kept with it, and shown wherever it is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboards.page.page import render
from orchestrator.command_line import main
from orchestrator.results.remarks import Remark, add_remark, read_remarks
from orchestrator.store.storage import LocalStorage
from orchestrator.watch.study_watch import StudyWatch
from tests.support.desk import refused
from tests.support.generated_study import NOW, small_study

TEXT = 'Stained <b>again</b> & "late"'


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return small_study(tmp_path / "slides", name="slides", depths=((0, 0),), repeats=1)[0]


def orch(storage: LocalStorage, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--studies", str(storage.root.parent)])


def test_notes_and_tags_stand_wherever_a_study_is_looked_at(storage: LocalStorage) -> None:
    before = StudyWatch(storage).look().stamp
    told = orch(storage, "note", "slides", TEXT, "--tag", "draft", "--tag", "paper-2")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[0] == "slides: draft, paper-2"
    assert told.stdout.splitlines()[1].endswith(f": {TEXT}")
    orch(storage, "note", "slides", "--untag", "draft")
    assert orch(storage, "status", "slides").stdout.splitlines()[1] == "Tags: paper-2"
    assert TEXT in orch(storage, "status", "slides").stdout
    (study,) = json.loads(orch(storage, "list", "--json").stdout)["studies"]
    assert (study["tags"], study["note"]) == (["paper-2"], TEXT)
    assert orch(storage, "list").stdout.splitlines()[1].split()[:2] == ["slides", "paper-2"]
    page = render(storage, now=NOW)
    orch(storage, "dashboard")
    home = (storage.root.parent / "index.html").read_text()
    for html in (page, home):
        assert "Stained &lt;b&gt;again&lt;/b&gt; &amp; &quot;late&quot;" in html
        assert '<span class="tag">paper-2</span>' in html
        assert "draft" not in html
    who = read_remarks(storage).notes[0][1].who
    assert who
    assert who not in page, "a page names no user"
    assert StudyWatch(storage).look().stamp != before, "a live page is written again"


def test_a_note_is_deleted_and_its_tags_stay(storage: LocalStorage) -> None:
    orch(storage, "note", "slides", "one", "--tag", "kept")
    orch(storage, "note", "slides", "two")
    told = orch(storage, "note", "slides", "--delete", "1", "--json")
    found = json.loads(told.stdout)
    assert [(one["number"], one["text"]) for one in found["notes"]] == [(2, "two")]
    assert found["tags"] == ["kept"]
    refused(orch(storage, "note", "slides", "--delete", "7"), "note 7: expected one of 2")


def test_what_is_no_note_or_tag_is_refused(storage: LocalStorage) -> None:
    refused(orch(storage, "note", "slides", "--tag", "two words"), "tag 'two words': expected at most 40 letters")
    refused(orch(storage, "note", "slides", "x" * 2001), "at most 2,000 characters, found 2,001")
    refused(orch(storage, "note", "slides", "x", "--delete", "1"), "--delete cannot be used with")
    assert storage.list("results/remarks") == []


def test_two_people_at_once_lose_none_and_a_torn_one_is_told(storage: LocalStorage) -> None:
    one = Remark(text="one", created=NOW)
    assert [add_remark(storage, one), add_remark(storage, one)] == [1, 2]
    storage.replace("results/remarks/1.json", b"{")
    told = orch(storage, "note", "slides")
    assert told.exit_code == 1
    assert "It held a note of the study" in told.stderr
    assert len(read_remarks(storage).notes) == 1
