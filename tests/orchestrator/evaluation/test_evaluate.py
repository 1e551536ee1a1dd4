"""One evaluation: what it opens and when, how looks are counted, what the record and the predictions hold."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.evaluation.external import External
from orchestrator.evaluation.levels import BOOTSTRAP_GROUPS, LEAST_GROUPS, Asked, level
from orchestrator.evaluation.looks import REGISTRY, looks_at, short_hashes
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.record import EvaluationRecord, read_evaluations
from orchestrator.evaluation.run import evaluate
from orchestrator.evaluation.samples import Units
from orchestrator.evaluation.text import as_text
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import Configuration
from orchestrator.store.storage import LocalStorage
from orchestrator.studies import Study, open_study
from orchestrator.summary import summarise
from tests.tiny_study import TinyStudy
from tests.trained_study import NAME, make_trained_study
from trainables.data.manifest import read_manifest
from trainables.data.options import DatasetOptions
from trainables.kept_weights import in_partition

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Desk:
    study: Study
    tiny: TinyStudy
    configurations: list[Configuration]

    def evaluate(self, **options: object) -> EvaluationRecord:
        said: list[str] = []
        record = evaluate(self.study, EvaluationOptions(**options), self.tiny.cache, said.append, _no_progress)  # type: ignore[arg-type]
        self.said = said
        return record

    @property
    def ranked(self) -> list[str]:
        return [entry.id for entry in summarise(self.study.storage).configurations]

    @property
    def manifest(self) -> pd.DataFrame:
        return read_manifest(self.study.storage.read(layout.MANIFEST))


def _no_progress(act: str, done: int, total: int) -> None:
    assert act
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")

    def with_site(manifest: pd.DataFrame, _: pd.Series[str]) -> pd.DataFrame:
        return manifest.assign(user_site=["north" if n % 3 else "south" for n in range(len(manifest))])

    make_trained_study(root, ("few", "many", "some"), change=with_site)
    return root


@pytest.fixture
def desk(trained_once: Path, tmp_path: Path) -> Desk:
    """A copy to evaluate, so that every test begins before the first look."""
    folder = tmp_path / "studies"
    shutil.copytree(trained_once / "studies", folder)
    study = open_study(folder, NAME)
    made = trained_once / "made"
    tiny = TinyStudy(
        folder / NAME,
        made / "images",
        made / "cache",
        study.record.classes,
        study.record.partition,
        study.record.data_fingerprint,
    )
    ids = [entry.configuration for entry in summarise(study.storage).configurations]
    return Desk(study, tiny, ids)


def test_the_best_configuration_is_evaluated_and_the_record_says_how(desk: Desk) -> None:
    record = desk.evaluate()
    assert record.configuration == desk.ranked[0]
    assert record.repeats == (0, 1, 2)
    assert record.images == 10
    assert record.groups == desk.manifest[desk.manifest["file"].str.contains("test")]["group"].nunique()
    assert (record.number, record.looks, record.first) == (1, 1, "")
    assert record.deviation == 0.0
    primary = record.primary
    assert (primary.views, primary.ensemble, primary.image.count) == (1, False, 10)
    assert [e.name for e in record.estimates if not e.is_primary] == [
        "ensemble of the repeats",
        "single models, mean over 8 views",
        "ensemble of the repeats, mean over 8 views",
    ]
    assert read_evaluations(desk.study.storage) == [record]
    assert "First look at 10 test images" in " ".join(desk.said)


def test_scores_are_those_of_the_predictions(desk: Desk) -> None:
    record = desk.evaluate()
    table = pd.read_parquet(io.BytesIO(desk.study.storage.read(record.predictions)))
    assert len(table) == 3 * 10 * 8
    upright = table[table["view"] == 0]
    right = upright["predicted"] == upright["label"]
    accuracy = right.groupby(upright["repeat"]).mean()
    found = record.primary.image.overall["accuracy"]
    assert found.value == pytest.approx(accuracy.mean())
    assert found.std == pytest.approx(accuracy.std())
    chances = [f"probability {name}" for name in record.classes]
    assert np.allclose(table[chances].sum(axis=1), 1.0)
    together = upright.groupby("file")[chances].mean()
    truth = upright.groupby("file")["label"].first()
    predicted = np.array(record.classes)[together.to_numpy().argmax(axis=1)]
    ensemble = next(e for e in record.estimates if e.ensemble and e.views == 1)
    assert ensemble.image.overall["accuracy"].value == pytest.approx((predicted == truth).mean())
    counts = np.array(record.primary.image.confusion)
    assert counts.shape == (3, 3, 3)
    assert counts.sum() == 30
    assert counts.trace(axis1=1, axis2=2).sum() == right.sum()
    by_group = upright.groupby(["repeat", "group"])[chances].mean()
    assert record.primary.group is not None
    assert record.primary.group.count == by_group.index.get_level_values("group").nunique()


def test_the_same_model_again_is_no_further_look_and_opens_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.evaluate()
    monkeypatch.setattr("orchestrator.evaluation.run.predict", lambda *_: pytest.fail("opened the test images"))
    monkeypatch.setattr("orchestrator.evaluation.run.trained", lambda *_: pytest.fail("trained again"))
    after = desk.evaluate(at=("specificity=0.8",), at_class="few", by=("site",))
    assert after.estimates == before.estimates
    assert (after.number, after.looks) == (1, 1)
    assert [point.asked for point in after.operating_points] == ["specificity=0.8"]
    assert [part.value for part in after.subgroups] == ["north", "south"]
    again = desk.evaluate(at=("sensitivity=1",), at_class="many")
    assert [point.asked for point in again.operating_points] == ["specificity=0.8", "sensitivity=1"]
    assert len(again.subgroups) == 2


def test_views_that_are_asked_for_later_come_from_kept_weights(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.evaluate(views=False)
    assert len(before.estimates) == 2
    monkeypatch.setattr("trainables.trained.open_group", lambda *_: pytest.fail("trained again"))
    after = desk.evaluate()
    assert len(after.estimates) == 4
    assert (after.number, after.looks, after.deviation) == (1, 1, 0.0)
    assert after.primary == before.primary
    assert len(desk.evaluate(views=False).estimates) == 4, "what was predicted stays"


def test_another_configuration_is_another_look_and_says_so(desk: Desk) -> None:
    first = desk.evaluate(views=False)
    second = desk.evaluate(configuration=desk.ranked[1], views=False)
    assert (second.number, second.looks) == (2, 2)
    assert first.name in second.first
    assert "looked at 2 times" in as_text(second)
    assert "Look 2 at 10 test images" in " ".join(desk.said)
    assert second.chosen == "named by the user, place 2 of 2"
    assert desk.evaluate(views=False).looks == 2, "the first record is brought up to date"


def test_looks_are_found_by_image_in_other_studies_and_in_copies(desk: Desk, tmp_path: Path) -> None:
    desk.evaluate(views=False)
    other = desk.study.folder.parent / "other"
    shutil.copytree(desk.study.folder, other)
    shutil.rmtree(other / "results")
    renamed = desk.study.record.model_copy(update={"name": "other"})
    LocalStorage(other).replace(layout.STUDY, renamed.to_toml())
    study = Desk(open_study(other.parent, "other"), desk.tiny, desk.configurations)
    found = study.evaluate(configuration=desk.ranked[1], views=False)
    assert found.number == 2
    assert "of study tiny" in found.first
    alone = tmp_path / "elsewhere" / NAME
    shutil.copytree(desk.study.folder, alone)
    copy = Desk(open_study(alone.parent, NAME), desk.tiny, desk.configurations)
    assert copy.evaluate(configuration=desk.ranked[1], views=False).number == 2


def test_any_shared_image_makes_it_a_look(desk: Desk) -> None:
    desk.evaluate(views=False)
    manifest = desk.manifest
    test = manifest[manifest["file"].str.contains("test")]["content"]
    other = manifest[manifest["file"].str.contains("train")]["content"]
    beside = LocalStorage(desk.study.folder.parent)
    assert len(looks_at(desk.study.storage, beside, short_hashes([*other, test.iloc[0]]))) == 1
    assert looks_at(desk.study.storage, beside, short_hashes(other)) == []


def test_a_look_is_written_before_the_images_are_opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(*_: object) -> np.ndarray:
        looks = desk.study.storage.list("results/looks")
        assert len(looks) == 1
        noted = json.loads(desk.study.storage.read(f"results/looks/{looks[0]}"))
        assert noted["configuration"] == desk.ranked[0]
        assert noted["primary"] == "mean over the repeats, single models, no test-time views"
        assert LocalStorage(desk.study.folder.parent).list(REGISTRY) == looks
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.evaluation.run.predict", power_cut)
        with pytest.raises(KeyboardInterrupt):
            desk.evaluate()
    assert desk.evaluate().looks == 1, "the same look goes on"


def test_weights_are_kept_within_the_budget(desk: Desk) -> None:
    desk.evaluate(views=False)
    kept = in_partition(desk.study.storage, desk.tiny.partition)
    assert {k.key.configuration for k in kept} == {desk.ranked[0]}
    assert [k.repeat for k in kept] == [0, 1, 2]
    size = sum(k.bytes for k in kept)
    desk.evaluate(configuration=desk.ranked[1], views=False, keep_bytes=size + 10)
    kept = in_partition(desk.study.storage, desk.tiny.partition)
    assert {k.key.configuration for k in kept} == {desk.ranked[1]}


def test_without_a_budget_no_weights_are_kept(desk: Desk) -> None:
    desk.evaluate(views=False, keep_bytes=0)
    assert in_partition(desk.study.storage, desk.tiny.partition) == []


def test_training_needs_no_test_image(tmp_path: Path) -> None:
    """Test files are removed before anything is trained; only the evaluation misses them."""

    def without_test_files(manifest: pd.DataFrame, split: pd.Series[str]) -> pd.DataFrame:
        for file in manifest.loc[split == "test", "file"]:
            (tmp_path / "made" / "images" / file).unlink()
        return manifest

    study, tiny, configurations = make_trained_study(tmp_path, repeats=2, change=without_test_files)
    assert [entry.n for entry in summarise(study.storage).configurations] == [2, 2]
    with pytest.raises(InputError, match="missing"):
        Desk(study, tiny, configurations).evaluate()
    assert not (study.folder / "results").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"configuration": "zzz"}, "0 fit"),
        ({"configuration": ""}, "2 fit"),
        ({"partition": "zzz"}, "expected the beginning of one partition's id"),
        ({"at": ("specificity=95%",), "at_class": "few"}, "expected specificity=SHARE"),
        ({"at": ("specificity=1.2",), "at_class": "few"}, "above 0 and up to 1"),
        ({"at": ("specificity=0.9",)}, "expected --class NAME, there are 3 classes"),
        ({"at": ("specificity=0.9",), "at_class": "nobody"}, "expected a class of the study"),
        ({"at_class": "few"}, "expected --at beside it"),
        ({"by": ("scanner",)}, "expected another column"),
        ({"data_root": Path("/nowhere")}, "expected a folder /nowhere"),
    ],
)
def test_bad_input_is_told_before_anything_is_opened(desk: Desk, options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        desk.evaluate(**options)
    assert not (desk.study.folder / "results").exists()


def test_nothing_finished_and_no_test_split_are_plain_sentences(desk: Desk) -> None:
    groups = {group: "valid" if split == "test" else split for group, split in desk.tiny.groups().items()}
    partition = desk.tiny.add_partition(groups)
    (desk.study.folder / layout.BUNDLES / desk.tiny.partition).rename(desk.study.folder / layout.BUNDLES / partition)
    with pytest.raises(InputError, match="no configuration with all its repeats yet"):
        desk.evaluate(partition=desk.tiny.partition)
    with pytest.raises(InputError, match="has no test images"):
        desk.evaluate(partition=partition, configuration=desk.ranked[0])


def many_groups(groups: int, classes: int, per_group: int = 4) -> Units:
    draw = np.random.default_rng(groups)
    truth = np.repeat(np.arange(groups) % classes, per_group)
    chances = draw.dirichlet(np.ones(classes), size=(2, len(truth)))
    return Units(chances, truth, np.repeat(np.arange(groups), per_group), groups)


def test_intervals_need_groups_and_reasons_name_the_class() -> None:
    few = level(many_groups(2 * LEAST_GROUPS - 1, 2), Asked(("A", "B"), draws=50))
    assert few.overall["accuracy"].interval is None
    assert few.overall["accuracy"].reason == f"B: {LEAST_GROUPS - 1} test groups"
    assert few.classes[0].scores["recall"].interval is not None, "the recall of A counts images of A alone"
    assert few.classes[0].scores["specificity"].interval is None, "its specificity those of B"
    enough = level(many_groups(2 * LEAST_GROUPS, 2), Asked(("A", "B"), draws=50))
    assert enough.overall["accuracy"].interval is not None
    assert enough.overall["accuracy"].interval.groups == 2 * LEAST_GROUPS
    assert enough.overall["mcc"].interval is None
    assert enough.overall["mcc"].reason == f"10 test groups, a bootstrap needs {BOOTSTRAP_GROUPS}"
    many = level(many_groups(BOOTSTRAP_GROUPS, 2), Asked(("A", "B"), draws=50))
    assert many.overall["mcc"].interval is not None
    assert many.overall["mcc"].interval.draws == 50
    assert "biased upwards" in many.overall["calibration_error"].reason
    one = level(many_groups(8, 8), Asked(tuple("ABCDEFGH"), draws=50))
    assert one.overall["accuracy"].reason == "A: 1 test group, B: 1 test group, C: 1 test group, and 5 more classes"


def test_groups_of_several_classes_have_no_group_level() -> None:
    units = many_groups(6, 2)
    assert units.by_group() is not None
    mixed = Units(units.chances, units.truth, units.group // 2, 3)
    assert mixed.by_group() is None
    assert mixed.mixed_groups() == 3


def test_the_record_is_read_without_anything_heavy(desk: Desk) -> None:
    desk.evaluate(views=False)
    code = f"""
import sys
from pathlib import Path
from orchestrator.evaluation.record import read_evaluations
from orchestrator.store.storage import LocalStorage
(record,) = read_evaluations(LocalStorage(Path({str(desk.study.folder)!r})))
print(record.primary.image.overall["accuracy"].value, record.looked_at)
print([name for name in ("torch", "ray", "pandas", "scipy", "sklearn") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]", run.stdout + run.stderr
    assert "looked at once" in run.stdout


def test_damaged_evaluations_are_passed_over(desk: Desk) -> None:
    record = desk.evaluate(views=False)
    desk.study.storage.replace("results/evaluation-0123456789ab.json", b"{torn")
    desk.study.storage.replace("results/looks/0123456789ab.json", b"{torn")
    assert read_evaluations(desk.study.storage) == [record]
    desk.study.storage.replace(record.predictions, b"torn")
    assert desk.evaluate(views=False).estimates == record.estimates


def test_the_command_prints_a_table_or_json(desk: Desk) -> None:
    arguments = [NAME, "--studies", str(desk.study.folder.parent), "--cache", str(desk.tiny.cache), "--no-views"]
    told = CliRunner().invoke(main, ["evaluate", *arguments, "--by", "Site"])
    assert told.exit_code == 0, told.output
    for part in ("Primary estimate: mean over the repeats", "looked at once", "site = north", "few: 2 test groups"):
        assert part in told.stdout, part
    assert "First look" in told.stderr
    data = CliRunner().invoke(main, ["evaluate", *arguments, "--json"])
    assert data.exit_code == 0
    record = EvaluationRecord.model_validate(json.loads(data.stdout))
    assert record == read_evaluations(desk.study.storage)[0]
    assert "no further look" in data.stderr
    wrong = CliRunner().invoke(main, ["evaluate", *arguments, "--by", "scanner"])
    assert wrong.exit_code == 2
    assert wrong.stdout == ""
    assert "Columns: site." in wrong.stderr


def test_reasons_stand_once_below_their_table(desk: Desk) -> None:
    text = as_text(desk.evaluate(views=False))
    assert text.count("few: 2 test groups, many: 2 test groups, some: 2 test groups") == 2
    assert text.count(f"a class that is counted has fewer than {LEAST_GROUPS} test groups") == 3


def test_a_diverged_repeat_counts_untrained_and_is_named(tmp_path: Path) -> None:
    settings: tuple[dict[str, object], ...] = ({"lr": 1e30, "non_linearities": 1},)
    study, tiny, configurations = make_trained_study(tmp_path, repeats=2, settings=settings)
    record = Desk(study, tiny, configurations).evaluate(views=False)
    assert record.diverged == (0, 1)
    assert record.selected_epochs == (0, 0)
    assert "2 of 2 repeats diverged" in as_text(record)


def external(folder: Path, classes: tuple[str, ...], groups: int = 6) -> Path:
    """Images like those of the study, of other slides, with a table."""
    draw = np.random.default_rng(99)
    rows = []
    for index, label in enumerate(classes):
        for number in range(2 * groups):
            file = f"{label}_{number}.png"
            pixels = draw.normal(100 + 12 * index, 30, size=(40, 40, 3)).clip(0, 255).astype(np.uint8)
            folder.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / file)
            rows.append((file, label, f"{label} {number // 2}", "old" if number % 4 else "new"))
    pd.DataFrame(rows, columns=["file", "label", "slide", "scanner"]).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def test_images_of_another_hospital(desk: Desk, tmp_path: Path) -> None:
    table = external(tmp_path / "other", desk.study.record.classes)
    own = desk.evaluate(views=False)
    record = desk.evaluate(views=False, external=External(table, DatasetOptions()), by=("scanner",))
    assert (record.external, record.images, record.groups) == ("labels.csv", 36, 18)
    assert record.group_meaning == "column slide of labels.csv"
    assert (record.number, record.looks) == (1, 1), "other images, another count"
    assert record.test_set != own.test_set
    assert record.primary.image.overall["accuracy"].interval is not None
    assert [part.value for part in record.subgroups] == ["new", "old"]
    assert own.primary.temperature == record.primary.temperature, "fitted on the same valid images"
    assert "External images: labels.csv" in as_text(record)
    assert {found.external for found in read_evaluations(desk.study.storage)} == {"", "labels.csv"}


def test_external_images_must_be_unseen_and_of_the_same_classes(desk: Desk, tmp_path: Path) -> None:
    table = external(tmp_path / "other", desk.study.record.classes)
    trained = desk.manifest[desk.manifest["file"].str.contains("train")]["file"].iloc[0]
    shutil.copy(desk.tiny.data / trained, tmp_path / "other" / "few_0.png")
    with pytest.raises(InputError, match="1 images are also among those that the study trained or selected on"):
        desk.evaluate(external=External(table, DatasetOptions()))
    fewer = external(tmp_path / "fewer", desk.study.record.classes[:2])
    with pytest.raises(InputError, match="without images: 'some'"):
        desk.evaluate(external=External(fewer, DatasetOptions()))
    assert not (desk.study.folder / "results").exists()
