"""The examples of docs/extending.md do what the page says, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.M | re.S
)
SETTING, RULE, VARIANT, LOSS, ITS_LINE, SCHEDULE, ITS_VARIANT, ENDING, ITS_NAME, *BLOCKS = BLOCKS
HEAD, HEAD_LINE, AUGMENTATION, AUGMENTATION_LINE, TASK, METRICS, METRIC, ITS_TASK, STRATEGY, PROPOSER, ITS_ENTRY = (
    BLOCKS
)
(NETWORK,) = re.findall(
    r"^```toml\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.M | re.S
)
WITH_A_SETTING = f"""
import json
from typing import Annotated
from pydantic import Field, Strict
from search_spaces.settings import head
from search_spaces.settings.declaration import Setting, Touch, When

class Head(head.Head):
{textwrap.indent(SETTING, "    ")}
head.Head = Head

from dashboards.figures.setting_text import unknown
from orchestrator.export.card import settings_said
from search_spaces.changes import Typed, changes_of
from search_spaces.configuration import column_names
from search_spaces.loader import default_space
from search_spaces.points import points
from tests.support.configurations import configured

plain, other = configured(non_linearities=1), configured(non_linearities=1, gain=2.0)
changes = changes_of([Typed("--set head.gain", "head.gain", "0.5,2")], ["extension"])
print(json.dumps({{
    "tried": sorted({{point.values["head.gain"] for point in points(default_space(), "x", changes, small=False)}}),
    "neutral": configured(non_linearities=1, gain=1.0).id == plain.id,
    "other": other.id == plain.id,
    "idle": configured(gain=2.0).id == configured().id,
    "column": "head.gain" in column_names(),
    "card": [value for label, value in settings_said(other) if label == "gain"],
    "axis": unknown("head.gain"),
    "keys": [touch for touch in Touch if other.key(touch) != plain.key(touch)],
}}))
"""
WITH_A_RULE = f"""
import json
from collections.abc import Sequence
import torch
from search_spaces.settings import optimiser as settings
from search_spaces.settings.optimiser import OptimiserVariant

variants = (*settings.OPTIMISERS.variants.values(), {VARIANT.strip()})
settings.OPTIMISERS.variants |= {{variant.name: variant for variant in variants}}

from search_spaces.changes import Typed, changes_of
from trainables.learning.optimisers.optimiser import Optimiser
from trainables.learning.optimisers.rates import Parameter

tensor = torch.tensor([1.0, 2.0])
rule = Optimiser([Parameter(tensor)], [settings.Optimiser(name="sign_sgd", lr=0.25, batch_size=1)])
rule.step([torch.tensor([7.0, -0.1])])
asked = changes_of([Typed("--optimiser", "optimiser", "sgd,sign_sgd")])
print(json.dumps({{"stepped": tensor.tolist(), "buffers": len(rule.buffers), "asked": asked.values["optimiser.name"]}}))
"""
IMPORTS = """
from collections.abc import Sequence

from search_spaces.settings import optimiser as settings
from trainables.learning.optimisers.optimiser import Gradient, Optimiser
from trainables.learning.optimisers.rates import add_scaled
from trainables.learning.products import Outer

"""


WITH_A_LOSS = f"""
import json
import torch
from search_spaces.settings import loss as settings
from search_spaces.settings.choice import Variant

settings.LOSSES.variants["brier"] = {ITS_LINE.strip()}

from trainables.learning.losses.loss import loss_of, mean_gradient
from trainables.learning.tasks.classes import soft_targets

loss = loss_of(settings.Loss(name="brier"))
told = {{}}
for outputs in (1, 2):
    logits = torch.zeros(1, 1, 2, outputs)
    targets = soft_targets(torch.tensor([[0, 1]]), outputs)
    both = loss.each(logits, targets), mean_gradient(loss, logits, targets, None)
    told[outputs] = [one.flatten().tolist() for one in both]
print(json.dumps(told))
"""
WITH_A_SCHEDULE = f"""
import json
from search_spaces.settings import schedule as settings
from search_spaces.settings.choice import Variant

settings.SCHEDULES.variants["polynomial"] = {ITS_VARIANT.strip()}

from tests.support.configurations import configured
from trainables.learning.schedules.schedule import schedule_of

c = configured(schedule="polynomial", **{{"schedule.length": 2}})
plain = configured(**{{"schedule.length": 2}})
factors = [schedule_of(c.schedule).factor(step, 8) for step in (0, 4, 8, 9)]
print(json.dumps({{"factors": factors, "other": c.id != plain.id, "idle": plain.schedule.length}}))
"""


WITH_AN_ENDING = f"""
import json
import numpy as np
from search_spaces.settings import ending as settings
from search_spaces.settings.choice import Variant

settings.ENDINGS.variants["plateau"] = {ITS_NAME.strip()}

from trainables.learning.endings.ending import ending_of

ending = ending_of(settings.Ending(name="plateau", patience=2))
scores = np.array([0.5, 0.7, 0.7, 0.7])
print(json.dumps([bool(ending.is_over(scores[:n])) for n in (1, 2, 3, 4)]))
"""
TRAINED = """
import sys
from pathlib import Path
import numpy as np
from tests.support.tiny_study import make_tiny_study
from trainables.bundles.trained import trained

study = make_tiny_study(Path(sys.argv[1]))
plain = study.configuration(lr=0.05)
c = study.configuration(lr=0.05, **CHANGES)
record = study.train(c, (0,), 2)[0]
one = trained(study.bench(), study.partition, c.id, [0])[0]
loss = record.history.loss
told = {
    "learned": bool(loss[-1, 0] != loss[0, 0] and np.isfinite(loss).all()),
    "same": one.deviation == 0.0,
    "weights": sorted(one.weights),
    "frontier": record.meta["recipe"]["frontier"],
    "other": c.id != plain.id,
    "strategy": c.strategy,
}
"""
WITH_A_HEAD = f"""
import json
from search_spaces.settings import head as settings
from search_spaces.settings.head import HeadVariant

settings.HEADS.variants["normed"] = {HEAD_LINE.strip()}
CHANGES = {{"head": "normed", "widths": (6,)}}
{TRAINED}
print(json.dumps(told))
"""
WITH_AN_AUGMENTATION = f"""
import json
from search_spaces.settings import augmentation as settings
from search_spaces.settings.augmentation import AugmentationVariant

settings.AUGMENTATIONS.variants["gamma"] = {AUGMENTATION_LINE.strip()}
CHANGES = {{"augmentation": "gamma"}}
{TRAINED}
print(json.dumps(told))
"""
WITH_A_NETWORK = """
import json, sys
from pathlib import Path
from search_spaces import own_networks

own_networks._NETWORKS = Path(sys.argv[1])

from search_spaces.form import Form
from search_spaces.own_networks import whole_own_name
from tests.support.tiny_study import make_tiny_study
from trainables.network.backbone import facts_of

name = whole_own_name("own:tiny")
study = make_tiny_study(Path(sys.argv[2]))
drawn = {"unfrozen": 2, "start": "drawn", "norms": "moving"}
c = study.configuration(backbone=name, lr=0.05, **drawn)
loss = study.train(c, (0,), 2)[0].history.loss
facts = facts_of(Form(name), "none", 0), facts_of(Form(name, 32), "none", 0)
print(json.dumps({
    "name": name.rpartition(".")[0],
    "sizes": [one.image_size for one in facts],
    "facts": [facts[0].feature_width, facts[0].weight_layers, facts[0].parameters],
    "learned": bool(loss[-1, 0] != loss[0, 0]),
}))
"""
WITH_A_STRATEGY = f"""
import json, sys
from pathlib import Path
from search_spaces import presets
from search_spaces.presets import NON_LINEARITIES, UNFROZEN, Preset

*others, last = presets.PRESETS.items()
presets.PRESETS = {{**dict(others), {STRATEGY.strip()} **dict([last])}}

from click.shell_completion import ShellComplete
from click.testing import CliRunner
from dashboards.figures.choice import Choice
from dashboards.figures.registry import open_source
from dashboards.page.page import render
from orchestrator.command_line import main
from orchestrator.export.tables import study_tables
from search_spaces.changes import Typed, changes_of
from search_spaces.describe import describe
from search_spaces.loader import default_space, parse_space
from search_spaces.points import points
from tests.support.drawn import drawn
from tests.support.generated_study import NOW, small_study

def refused(act, *given):
    try:
        act(*given)
    except Exception as error:
        return str(error)

own = parse_space('name = "x"\\nbackbones = [{{ name = "y", topmost.lr = 0.25 }}]\\n[topmost]\\nlr = 0.5', "x")
changes = changes_of([Typed("--non-linearities", "non_linearities", "1")], ["topmost"])
tried = [point for small in (False, True) for point in points(default_space(), "x", changes, small=small)]
begun = ShellComplete(main, {{}}, "orch", "").get_completions(["search", "--strategy"], "extension,t")
told = " ".join(CliRunner().invoke(main, "search --help").output.split())
storage, study = small_study(Path(sys.argv[1]), depths=((0, 0), (0, 3), (0, 2)))
source = open_source(storage, NOW)
shown = [trace for trace in drawn(source, "gap", Choice())["data"] if trace["name"] == "top three layers"]
print(json.dumps({{
    "file": [sorted({{(p.strategy, p.unfrozen, p.lr) for p in points(own, name, small=False)}}) for name in "xy"],
    "described": "y, topmost, u = 3" in describe(own),
    "held": refused(parse_space, 'name = "x"\\n[topmost]\\nunfrozen = 2', "x"),
    "default": default_space().strategies,
    "asked": sorted({{(point.strategy, point.non_linearities) for point in tried}}),
    "option": refused(changes_of, [Typed("--unfrozen", "unfrozen", "2")], ["topmost"]),
    "unknown": refused(changes_of, [], ["topmos"]),
    "completed": [item.value for item in begun],
    "help": "topmost (the last three weight layers too)" in told,
    "called": [c.strategy for c in study.configurations()[::4]],
    "table": sorted(set(study_tables(storage, source.summary, False)["configurations"]["strategy"])),
    "page": "top three layers, u = 3" in render(storage, now=NOW),
    "marks": [trace["marker"]["symbol"] for trace in shown],
}}))
"""

WITH_A_TASK = f"""
import json
from search_spaces.settings.data import TASKS, TaskVariant
from search_spaces.settings.selection import METRICS, MetricVariant

METRICS.variants["mean_absolute_error"] = {METRIC}
TASKS.variants["grades"] = {ITS_TASK}

from tests.support.graded_study import read

print(json.dumps(read(Path(sys.argv[1]))))
"""

WITH_A_PROPOSER = f"""
import json, sys
from pathlib import Path
from search_spaces.proposers import PROPOSERS
from search_spaces.settings.choice import Variant

PROPOSERS.variants["halving"] = {ITS_ENTRY.strip()}

from orchestrator.proposing.checking import check
from orchestrator.results.decided import Decided
from search_spaces.loader import parse_space
from tests.support.undecided_study import undecided_study

study = undecided_study(Path(sys.argv[1]))
space = parse_space('name = "x"\\nsearch = {{ proposer = "halving", first = 3 }}', "x")
proposer, settings = space.search.with_changes(None, {{}})
search = study.search(study.names, 2, 9, proposer=proposer, settings=settings)
decisions = [study.decide(search)]
for place in range(4):
    study.finish(place, (0, 1), 3)
decisions.append(study.decide(search))
for place in range(4):
    study.finish(place, (0, 1), 9)
print(json.dumps({{
    "asked": [[len(one.asks), one.asks[0].epochs, one.reason] for one in decisions],
    "starts": sorted({{stack.start for stack in decisions[1].stacks}}),
    "more": study.deciding(search).decide() is not None,
    "faults": [one.faults for one in check(study.storage, Decided.of(study.storage))],
}}))
"""


def told(code: str, *arguments: str) -> Any:
    run = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_setting() -> None:
    assert told(WITH_A_SETTING) == {
        "tried": [0.5, 2.0],
        "neutral": True,
        "other": False,
        "idle": True,
        "column": True,
        "card": ["2"],
        "axis": "",
        "keys": ["step"],
    }


def test_an_optimiser(tmp_path: Path) -> None:
    (tmp_path / "sign_sgd.py").write_text(IMPORTS + RULE)
    beside = f"import trainables.learning.optimisers as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_A_RULE) == {"stepped": [0.75, 2.25], "buffers": 0, "asked": ["sgd", "sign_sgd"]}


def test_a_schedule(tmp_path: Path) -> None:
    (tmp_path / "polynomial.py").write_text(
        f"from __future__ import annotations\n\nfrom search_spaces.settings import schedule as settings\n\n\n{SCHEDULE}"
    )
    beside = f"import trainables.learning.schedules as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_A_SCHEDULE) == {
        "factors": [1.0, 0.5**0.9, 0.0, 0.0],
        "other": True,
        "idle": 1,
    }


def test_an_ending(tmp_path: Path) -> None:
    head = "import numpy as np\n\nfrom search_spaces.settings import ending as settings"
    (tmp_path / "plateau.py").write_text(f"from __future__ import annotations\n\n{head}\n\n\n{ENDING}")
    beside = f"import trainables.learning.endings as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_AN_ENDING) == [False, False, False, True]


def test_a_head(tmp_path: Path) -> None:
    head = (
        "from search_spaces.settings import head as settings\nfrom trainables.learning.heads.layer import Layer, Layers"
    )
    (tmp_path / "normed.py").write_text(f"from __future__ import annotations\n\n{head}\n\n\n{HEAD}")
    beside = f"import trainables.learning.heads as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_A_HEAD, str(tmp_path / "study")) == {
        "learned": True,
        "same": True,
        "weights": [f"head.{place}.{part}" for place in (0, 1, 3) for part in ("bias", "weight")],
        "frontier": "the pooled features",
        "other": True,
        "strategy": "extension",
    }


def test_an_augmentation(tmp_path: Path) -> None:
    imports = """
from __future__ import annotations
import numpy as np
import torch
from search_spaces.settings import augmentation as settings
from torchvision.transforms.v2 import functional
from trainables.learning.augmentations.augmentation import Batch
"""
    (tmp_path / "gamma.py").write_text(imports + AUGMENTATION)
    beside = f"import trainables.learning.augmentations as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_AN_AUGMENTATION, str(tmp_path / "study")) == {
        "learned": True,
        "same": True,
        "weights": ["head.0.bias", "head.0.weight"],
        "frontier": "the pooled features",
        "other": True,
        "strategy": "straightforward",
    }


def test_a_network(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(NETWORK)
    assert told(WITH_A_NETWORK, str(tmp_path), str(tmp_path / "study")) == {
        "name": "own:tiny",
        "sizes": [64, 32],
        "facts": [32, 2, 3 * 9 * 16 + 16 + 2 * 16 + 16 * 9 * 32 + 32],
        "learned": True,
    }


def test_a_strategy(tmp_path: Path) -> None:
    found = told(WITH_A_STRATEGY, str(tmp_path))
    held, option, unknown = (found.pop(name) for name in ("held", "option", "unknown"))
    assert "topmost.unfrozen: expected nothing, as the strategy fixes it, found 2" in held
    assert "--unfrozen: expected --strategy unfreezing with it, found topmost" in option
    assert (
        "expected some of straightforward, extension, finetune, scratch, adapters, topmost, unfreezing, found 'topmos'"
        in unknown
    )
    assert found == {
        "file": [[["topmost", 3, 0.5]], [["topmost", 3, 0.25]]],
        "described": True,
        "default": ["straightforward", "extension", "unfreezing"],
        "asked": [["topmost", 1]],
        "completed": ["extension,topmost"],
        "help": True,
        "called": ["straightforward", "topmost", "unfreezing"],
        "table": ["straightforward", "topmost", "unfreezing"],
        "page": True,
        "marks": ["cross-open"],
    }


def test_a_loss(tmp_path: Path) -> None:
    head = "from __future__ import annotations\n\nimport torch\n\nfrom search_spaces.settings import loss as settings"
    (tmp_path / "brier.py").write_text(f"{head}\n\n\n{LOSS}")
    beside = f"import trainables.learning.losses as room\nroom.__path__.append({str(tmp_path)!r})\n"
    binary, two = told(beside + WITH_A_LOSS).values()
    slope = 4 * 0.5 * 0.5 * 0.5 / 2  # of 2(p − t)², over two images
    assert binary[0] == two[0] == pytest.approx([0.5] * 2)
    assert binary[1] == pytest.approx([slope, -slope])
    assert two[1] == pytest.approx([-slope, slope, slope, -slope])


def test_a_task(tmp_path: Path) -> None:
    """Trained and read by everything between a group of lanes and the page; scores are those by hand."""
    head = "from __future__ import annotations\n\nimport numpy as np\n"
    task = "import torch\nfrom torch.nn import functional\n\nfrom search_spaces.settings import data as settings\n\n\n"
    (tmp_path / "grades.py").write_text(head + task + TASK)
    (tmp_path / "grade_metrics.py").write_text(head + METRICS)
    beside = "import sys\nfrom pathlib import Path\nimport trainables.learning.tasks as room\n"
    found = told(f"{beside}room.__path__.append({str(tmp_path)!r})\n{WITH_A_TASK}", str(tmp_path))
    assert (found["gathered"], found["same"], found["shape"]) == (6, True, [2, 2])
    assert found["scores"] == found["expected"]
    assert len({value for one in found["scores"].values() for value in one["valid"]}) > 2, "else all would be one"
    mean = {name: sum(one["selection"]) for name, one in found["scores"].items()}
    assert found["ranked"] == sorted(mean, key=lambda name: mean[name])
    assert found["best"] == found["ranked"][0]
    valid = [found["scores"][name]["valid"] for name in found["ranked"]]
    assert found["means"] == pytest.approx([sum(values) / 3 for values in valid])
    assert found["columns"][-2:] == ["loss", "mean_absolute_error"]
    assert found["epochs"]["rows"] == 2 * 3 * 6 * 2
    assert 0 <= found["epochs"]["least"] < found["epochs"]["most"] <= 2
    assert "mean absolute error" in found["status"]
    assert "Selected by the best mean mean absolute error of 2 configurations" in found["report"]
    assert "computed from confusion counts, which this task does not have" in found["report"]
    assert found["figures"] == [
        "figure: y: expected a metric of the task grades (loss, mean_absolute_error), found 'accuracy'",
        "figures: 'confusion' is made class by class, which the task grades of study 'study' is not",
    ]
    assert found["bytes_of_an_epoch"] == 2 * (8 + 4 * 2), "of two splits the loss and two counts"
    assert found["refused"] == 'study study, evaluation: expected the task "binary" or "multiclass", found "grades"'
    assert found["page"] == ['<option value="mean_absolute_error">'], "and nothing that only classes have"


def test_a_proposer(tmp_path: Path) -> None:
    imports = """
from __future__ import annotations
from orchestrator.proposing.proposer import Proposal, View
from orchestrator.store.searches import Ask, SearchRecord
"""
    (tmp_path / "halving.py").write_text(imports + PROPOSER)
    beside = f"import orchestrator.proposing as room\nroom.__path__.append({str(tmp_path)!r})\n"
    assert told(beside + WITH_A_PROPOSER, str(tmp_path / "study")) == {
        "asked": [[4, 3, "3 epochs of everything"], [2, 9, "2 of 4 configurations go on"]],
        "starts": [3],
        "more": False,
        "faults": [[], []],
    }
