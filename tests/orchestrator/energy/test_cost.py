"""What a study cost: hours from records, energy from meters or ratings, CO₂ equivalent, passes that caching saved."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.commands.cost import cost as cost_command
from orchestrator.energy.cost import cost_of, energy_kwh
from orchestrator.energy.cost_text import cost_text
from orchestrator.energy.grid import countries, intensity_of
from orchestrator.energy.hours import segment_hours, together
from orchestrator.energy.meters import READINGS
from orchestrator.energy.passes import count_passes, keep_rate
from orchestrator.energy.ratings import rating_of
from orchestrator.store import layout
from orchestrator.store.damage import collecting
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.segments import Recipe, Segment
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage, small_study

WORLD = intensity_of(None, None)


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(1_800_000_000 + seconds, UTC).isoformat(timespec="seconds")


def add_attempt(
    storage: LocalStorage, segment: Segment, number: int, start: float, end: float | None, device: str, host: str = "a"
) -> None:
    started = {"started": moment(start), "host": host, "device": device}
    storage.replace(f"{segment.attempt(number)}/started.json", json.dumps(started).encode())
    if end is not None:
        ended = {"ended": moment(end), "outcome": "finished"}
        storage.replace(f"{segment.attempt(number)}/ended.json", json.dumps(ended).encode())


def add_recipe(storage: LocalStorage, segment: Segment) -> None:
    recipe = Recipe(segment=segment, device="cuda", device_name="Tesla T4", threads=1, scoring_batch=64)
    storage.replace(segment.recipe, recipe.to_toml())


def gpu_study(folder: Path, spans: list[tuple[float, float | None]], hosts: list[str]) -> LocalStorage:
    """Segments without results, one per span, on T4s."""
    storage = UnsyncedStorage(folder)
    study = GeneratedStudy(depths=((0, 0),), batch_sizes=(16,), lrs=tuple(1e-3 * (i + 1) for i in range(len(spans))))
    study.write_frame(storage)
    for configuration, (start, end), host in zip(study.configurations(), spans, hosts, strict=True):
        segment = Segment(PARTITION, (configuration.id,), (0, 1), 0, 9)
        add_recipe(storage, segment)
        add_attempt(storage, segment, 1, start, end, "Tesla T4", host)
    return storage


def test_the_reference_study_comes_out(tmp_path: Path) -> None:
    hours = 12_740
    storage = gpu_study(tmp_path, [(0, hours / 2 * 3600), (0, hours / 2 * 3600)], ["a", "b"])
    spent = cost_of(storage, intensity_of(None, 0.57))
    assert spent.gpu_hours == pytest.approx(hours)
    assert spent.devices[0].rating.watts == 70
    assert round(spent.kg) == 508
    assert spent.kg == pytest.approx(energy_kwh(hours, 70) * 0.57)


def test_trials_that_share_a_gpu_do_not_count_it_twice(tmp_path: Path) -> None:
    storage = gpu_study(tmp_path, [(0, 3600), (0, 3600), (3600, 7200)], ["a", "a", "a"])
    assert cost_of(storage, WORLD).gpu_hours == pytest.approx(2)
    assert cost_of(storage, WORLD, gpus_per_host=2).gpu_hours == pytest.approx(3)
    apart = gpu_study(tmp_path / "apart", [(0, 3600), (0, 3600)], ["a", "b"])
    assert cost_of(apart, WORLD).gpu_hours == pytest.approx(2)


def test_devices_busy_at_once() -> None:
    spans = [(0.0, 10.0), (5.0, 15.0), (5.0, 6.0)]
    assert together(spans, 1) == pytest.approx(15)
    assert together(spans, 2) == pytest.approx(20)
    assert together(spans, 9) == pytest.approx(21)
    assert together([], 1) == 0


def test_a_killed_attempt_counts_up_to_its_last_sign(tmp_path: Path) -> None:
    storage = gpu_study(tmp_path, [(0, None)], ["a"])
    (found,) = segment_hours(storage)
    assert (found.held, found.without_end) == (0, 1)
    assert found.segment is not None
    lease = layout.lease(found.segment.folder, 3)
    storage.replace(lease, json.dumps({"updated": moment(1800)}).encode())
    (found,) = segment_hours(storage)
    assert (found.held, found.without_end) == (1800, 0)


def test_an_attempt_that_ended_before_its_recipe_was_written_counts(tmp_path: Path) -> None:
    storage = gpu_study(tmp_path, [(0, 60)], ["a"])
    (found,) = segment_hours(storage)
    assert found.segment is not None
    storage.delete(found.segment.recipe)
    spent = cost_of(storage, WORLD)
    assert [(one.segment, one.attempts, one.held, one.device) for one in spent.segments] == [(None, 1, 60, "Tesla T4")]
    assert spent.as_json()["repeats"][0]["configurations"] == []


def test_what_earlier_segments_took_is_not_counted_again(tmp_path: Path) -> None:
    """A final record says the time of a repeat from its first epoch on."""
    storage, study = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), repeats=1, epochs=6)
    (before,) = segment_hours(storage)
    configuration = study.configurations()[0]
    record = study.final(configuration, 0, 24)
    later = Segment(PARTITION, (configuration.id,), (0,), 6, 24)
    record.meta["recipe"] = {**record.meta["recipe"], "segment": vars(later)}
    record.meta["recipe"] = json.loads(json.dumps(record.meta["recipe"]))
    storage.create(later.final(later.lanes[0], record.state), record.to_bytes())
    assert before.segment is not None
    add_attempt(storage, before.segment, 1, 0, 2, "a processor")
    first, second = sorted(segment_hours(storage), key=lambda found: found.repeats)
    assert (first.repeats, first.seconds) == (0, 2)
    assert (second.repeats, second.seconds) == (1, pytest.approx(0.4 * 18))


def test_core_hours_of_results_without_attempts(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    spent = cost_of(storage, WORLD, core_watts=10)
    repeats = len(study.configurations()) * study.repeats
    assert spent.core_hours == pytest.approx(repeats * 0.4 * study.epochs / 3600)
    assert spent.gpu_hours == 0
    assert spent.kwh == pytest.approx(spent.core_hours * 10 / 1000)
    assert "CO₂e at 0.481 kg CO₂e per kWh" in cost_text("generated", spent)


def test_a_meter_takes_the_place_of_the_rating(tmp_path: Path) -> None:
    storage = gpu_study(tmp_path, [(0, 3600), (7200, 10_800)], ["a", "a"])
    note = {
        "host": "a",
        "started": moment(0),
        "seconds": 3600,
        "joules": {"gpu": 200_000, "cpu": 160_000},
        "sources": ["NVML GPU 0"],
    }
    storage.replace(f"{READINGS}/one.json", json.dumps(note).encode())
    storage.replace(f"{READINGS}/again.json", json.dumps(note).encode())  # a second driver on the same machine
    storage.replace(f"{READINGS}/other.json", json.dumps({**note, "host": "b", "joules": {}}).encode())
    storage.replace(f"{READINGS}/torn.json", b'{"host": "a"')
    spent = cost_of(storage, WORLD)
    assert spent.measured_kwh == pytest.approx(0.1)
    assert spent.rated_kwh == pytest.approx(0.07)
    assert spent.gpu_hours == pytest.approx(2)
    assert "measured" in cost_text("x", spent)


def add_reading(storage: LocalStorage, act: str, start: float, seconds: float, **changes: object) -> None:
    note = {"act": act, "host": "a", "started": moment(start), "seconds": seconds, "joules": {}, "sources": []}
    storage.replace(f"{READINGS}/{act}-{start:g}.json", json.dumps({**note, **changes}).encode())


def test_the_share_of_the_hours_that_the_energy_covers_is_said(tmp_path: Path) -> None:
    storage = gpu_study(tmp_path, [(600, 1500), (900, 1200)], ["a", "a"])
    assert cost_of(storage, WORLD).covered is None
    assert "The records do not say how long searches ran" in cost_text("x", cost_of(storage, WORLD))
    add_reading(storage, "search", 0, 3600)
    spent = cost_of(storage, WORLD)
    assert spent.covered == pytest.approx(0.25)
    add_reading(storage, "evaluation", 4000, 900)
    spent = cost_of(storage, WORLD)
    assert spent.run_hours == {"evaluation": pytest.approx(0.25), "search": pytest.approx(1.0)}
    assert spent.covered == pytest.approx(0.2)
    assert (spent.as_json()["covered_share"], spent.as_json()["run_hours"]) == (spent.covered, spent.run_hours)
    told = cost_text("x", spent)
    assert "Commands ran on 1 machine (evaluation 0.25 h, search 1 h); the energy covers 20% of that time" in told
    assert ", but not the rest: starting, decoding images, computing features and tests." in told
    add_reading(storage, "search", 0, 3600, joules={"cpu": 100.0}, sources=["RAPL"])
    assert cost_of(storage, WORLD).covered == pytest.approx(0.2), "the GPU's energy is not in it"
    add_reading(storage, "search", 0, 3600, joules={"gpu": 100.0}, sources=["NVML GPU 0"])
    assert cost_of(storage, WORLD).covered == pytest.approx(0.8)
    add_reading(storage, "evaluation", 4000, 900, joules={"gpu": 100.0}, sources=["NVML GPU 0"])
    assert "the energy covers all of that time." in cost_text("x", cost_of(storage, WORLD))


def test_attempts_shorter_than_a_second_cover_what_they_trained(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), repeats=1, epochs=6)
    (found,) = segment_hours(storage)
    assert found.segment is not None
    add_attempt(storage, found.segment, 1, 2, 2, "a processor")
    add_reading(storage, "search", 0, 10)
    assert cost_of(storage, WORLD).covered == pytest.approx(0.4 * study.epochs / 10)


def test_passes_are_counted_from_histories(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0), (1, 0)), lrs=(1e-3,), batch_sizes=(16,))
    (passes,) = count_passes(storage)
    n = study.n_train + study.n_valid
    each = study.epochs * study.n_train + (study.epochs + 1) * n
    assert passes.without_cache == 2 * study.repeats * each
    assert passes.made == n
    assert passes.hours_saved is None
    told = cost_text("x", cost_of(storage, WORLD))
    assert f"  {passes.form}: {n:,} made instead of {passes.without_cache:,}" in told
    assert "orch cost x --measure" in told
    keep_rate(storage, passes, 0.036, "a processor")
    (timed,) = count_passes(storage)
    assert timed.hours_saved == pytest.approx(timed.saved * 1e-5)
    assert timed.hours_made == pytest.approx(n * 1e-5)
    assert "estimated" in cost_text("x", cost_of(storage, WORLD))


def test_pixels_are_no_cache(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, depths=((0, 4),), lrs=(1e-3,), batch_sizes=(16,), frontier="the pixels")
    assert count_passes(storage) == ()
    assert "Nothing was cached" in cost_text("x", cost_of(storage, WORLD))


def test_balanced_views_are_counted(tmp_path: Path) -> None:
    storage, study = small_study(
        tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), balance="ngca", n_train=420
    )
    (passes,) = count_passes(storage)
    assert passes.made == 8 * study.n_train + study.n_valid  # equal classes: all eight symmetries of each image


def test_views_up_to_a_count_are_counted(tmp_path: Path) -> None:
    storage, study = small_study(
        tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), balance="count", count=300, n_train=420
    )
    (passes,) = count_passes(storage)
    assert passes.made == 2 * 300 + study.n_valid, "210 images of each class, 90 of them twice"
    epochs = study.epochs
    scored = study.n_train + study.n_valid
    assert passes.without_cache == study.repeats * (epochs * 600 + (epochs + 1) * scored)


@pytest.mark.parametrize(
    ("country", "kg", "expected"),
    [("DE", None, 0.381), ("germany", None, 0.381), (None, 0.57, 0.57), (None, None, 0.481), (" us ", None, 0.379)],
)
def test_intensities(country: str | None, kg: float | None, expected: float) -> None:
    assert intensity_of(country, kg).kg_per_kwh == pytest.approx(expected)


def test_every_country_has_a_source_and_a_year() -> None:
    for code in countries():
        found = intensity_of(code, None)
        assert 0.001 < found.kg_per_kwh < 1
        assert found.source
        assert found.year is not None
        assert found.year >= 2020


@pytest.mark.parametrize(
    ("country", "kg", "told"),
    [
        ("Germny", None, "Nearest: Germany"),
        (None, 381.0, "grams"),
        (None, float("nan"), "grams"),
        ("DE", 0.3, "one of them"),
    ],
)
def test_wrong_intensities_are_explained(country: str | None, kg: float | None, told: str) -> None:
    with pytest.raises(InputError) as caught:
        intensity_of(country, kg)
    assert told in str(caught.value)


def test_ratings_by_name() -> None:
    assert rating_of("Tesla T4", "cuda").watts == 70
    assert rating_of("NVIDIA A100-SXM4-80GB", "cuda").watts == 400
    assert rating_of("NVIDIA A100 80GB PCIe", "cuda").watts == 300
    assert rating_of("NVIDIA L4", "cuda").watts == 72
    assert rating_of("NVIDIA L40S", "cuda").watts == 300
    assert "unknown" in rating_of("a card of next year", "cuda").source
    assert rating_of("AMD EPYC", "cpu").watts == 12
    assert rating_of("AMD EPYC", "cpu", core_watts=4).watts == 4


def test_the_command_on_a_study_without_results(tmp_path: Path) -> None:
    storage = UnsyncedStorage(tmp_path / "empty")
    GeneratedStudy(name="empty").write_frame(storage)
    run = CliRunner().invoke(cost_command, ["empty", "--studies", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "nothing has been trained yet" in run.output


def test_the_command_as_json(tmp_path: Path) -> None:
    small_study(tmp_path / "generated")
    run = CliRunner().invoke(cost_command, ["generated", "--studies", str(tmp_path), "--json", "--country", "FR"])
    assert run.exit_code == 0, run.output
    data = json.loads(run.output)
    assert data["kg_per_kwh"] == 0.056
    assert data["kg_co2e"] == pytest.approx(data["kwh"] * 0.056)
    told = [(name, n) for row in data["repeats"] for name in row["configurations"] for n in row["repeats"]]
    assert len(told) == len(set(told)) == sum(row["results"] for row in data["repeats"])
    assert sum(row["results"] for row in data["repeats"]) == sum(device["repeats"] for device in data["devices"])
    assert {tuple(row["epochs"]) for row in data["repeats"]} == {(0, 6)}


def test_the_command_speaks_of_repeats_and_never_of_bundles(tmp_path: Path) -> None:
    _, study = small_study(tmp_path / "generated")
    options = ["generated", "--studies", str(tmp_path)]
    text = CliRunner().invoke(cost_command, options).output
    counted = len(study.configurations())
    assert text.startswith(f"generated: {counted * study.repeats} repeats of {counted} configurations, ")
    for output in (text, CliRunner().invoke(cost_command, [*options, "--json"]).output):
        assert "bundle" not in output


def test_a_configuration_that_is_missing_is_passed_over(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,))
    lost: Configuration = study.configurations()[0]
    storage.delete(f"configurations/{lost.id}.toml")
    assert count_passes(storage) == ()


@pytest.mark.parametrize("seconds", [10**400, -1, 1e400, float("nan"), "1", None])
def test_a_time_that_is_none_is_told(tmp_path: Path, seconds: object) -> None:
    storage, _ = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,))
    (passes,) = count_passes(storage)
    storage.create(passes.rate_path, json.dumps({"seconds_each": seconds, "device": "cpu"}).encode())
    with collecting() as left_out:
        assert count_passes(storage) == (passes,)
    assert [one.path for one in left_out.all] == [passes.rate_path]


def test_a_configuration_under_the_name_of_another_is_told(tmp_path: Path) -> None:
    """Its settings are others than its id says, whatever its checksum."""
    storage, study = small_study(tmp_path / "generated", depths=((0, 0),), lrs=(1e-3, 1e-2), batch_sizes=(16,))
    one, other = (layout.configuration(found.id) for found in study.configurations())
    storage.replace(one, storage.read(other))
    with pytest.raises(DamagedRecordError, match=f"{one} holds another configuration, {study.configurations()[1].id}"):
        read_configuration(storage, study.configurations()[0].id)
    for command in ("status", "best", "table", "cost"):
        told = CliRunner().invoke(main, [command, "generated", "--studies", str(tmp_path)])
        assert told.exit_code == 1, told.output
        assert "holds another configuration" in told.output
