"""More than twenty broken study files, each told all that is wrong with it, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main

HEAD = (
    "name, non_linearities, widths, batch_norm, activation, negative_slope, dropout, input_norm, excitation, "
    "reduction, penalty"
)
TABLE = (
    "pairs, epochs, repeats, network, adaptation, image, balance, augmentation, head, loss, optimiser, schedule, "
    "ending, selection, "
    "unfrozen, image_size, non_linearities, dropout, lr, batch_size, momentum, weight_decay"
)
FILE = (
    "name, title, description, task, classes, class_names, positive, partition, grid, straightforward, extension, "
    "finetune, scratch, adapters, unfreezing, search, synthetic, small, stages, "
    "backbones, network, adaptation, image, balance, augmentation, head, loss, optimiser, "
    "schedule, ending, selection"
)
AUGMENTATIONS = (
    'some of "none", "crop", "flips", "dihedral", "randaugment", "augmix", "brightness", "contrast", "colour", '
    '"stain", "blur", "noise", "erasing", "mixup", "cutmix" or "feature_mixup"'
)
STRATEGIES = "straightforward, extension, finetune, scratch, adapters, unfreezing"
QUOTED = '"straightforward", "extension", "finetune", "scratch", "adapters" or "unfreezing"'
METRICS = (
    '"loss", "accuracy", "balanced_accuracy", "macro_f1", "class_precision", "class_recall", "class_f1", '
    '"macro_auc" or "recall_at_precision"'
)
BACKBONE = "name, strategies, weights, weights_key, mean, std, grid, " + STRATEGIES
BROKEN: dict[str, tuple[str, str]] = {
    "values out of range": (
        """
[head]
dropout = 1.5
negative_slope = -0.1
[image]
crops = 0
views = 9
store_size = 5000
""",
        """
image.store_size: expected a whole number from 8 to 4,096, found 5000
image.crops: expected a whole number from 1 to 64, found 0
image.views: expected a whole number from 1 to 8, found 9
head.negative_slope: expected a number of 0 or more, below 1, found -0.1
head.dropout: expected a number of 0 or more, below 1, found 1.5
""",
    ),
    "lists with some wrong values": (
        """
[optimiser]
lr = [0.1, 0, -1]
batch_size = [8, 8.5, 0]
weight_decay = [0.0, 1.0]
""",
        """
optimiser.lr[1]: expected a number above 0, found 0
optimiser.lr[2]: expected a number above 0, found -1
optimiser.batch_size[1]: expected a whole number from 1 to 1,000,000, found 8.5
optimiser.batch_size[2]: expected a whole number from 1 to 1,000,000, found 0
optimiser.weight_decay[1]: expected a number of 0 or more, below 1, found 1.0
""",
    ),
    "unknown names near to known ones": (
        """
balanse = "ngca"
[optimizer]
lr = 0.1
[head]
drop_out = 0.5
[grid]
epoch = 3
""",
        """
grid.epoch: expected one of TABLE; found an unknown key; did you mean 'epochs'?
head.drop_out: expected one of HEAD; found an unknown key; did you mean 'dropout'?
balanse: expected one of FILE; found an unknown key; did you mean 'balance'?
optimizer: expected one of FILE; found an unknown key; did you mean 'optimiser'?
""",
    ),
    "unknown names that nothing is near to": (
        """
zzz = 1
[head]
zzz = 1
""",
        """
head.zzz: expected one of HEAD; found an unknown key
zzz: expected one of FILE; found an unknown key
""",
    ),
    "choices that there are not": (
        """
balance = "ncga"
selection = "auc"
[optimiser]
name = "rmsprop"
[image]
interpolation = "bicubik"
standardisation = "trian"
[network]
precision = "fp16"
""",
        """
network.precision: expected "fp32" or "bf16", found "fp16"; did you mean 'bf16'?
image.interpolation: expected "bilinear", "bicubic" or "lanczos", found "bicubik"; did you mean 'bicubic'?
image.standardisation: expected "weights", "train", "half" or "each_split", found "trian"; did you mean 'train'?
balance: expected "none", "ngca", "class_weights", "subsample" or "count", found "ncga"; did you mean 'ngca'?
optimiser.name: expected "sgd", "adam", "adamw" or "lion", found "rmsprop"
selection: expected METRICS, found "auc"
""",
    ),
    "choices in lists": (
        """
balance = ["none", "smote"]
selection = ["loss", "loss"]
[extension]
optimiser = ["sgd", "adma"]
""",
        """
extension.optimiser[1]: expected "sgd", "adam", "adamw" or "lion", found "adma"; did you mean 'adam' or 'adamw'?
balance[1]: expected "none", "ngca", "class_weights", "subsample" or "count", found "smote"
selection: expected different values, found "loss" more than once
""",
    ),
    "words for numbers and numbers for words": (
        """
title = 3
[head]
dropout = "half"
[balance]
name = 1
score_augmented = "yes"
[grid]
epochs = "many"
repeats = true
""",
        """
title: expected text in quotes, found 3
grid.epochs: expected a whole number, found "many"
grid.repeats: expected a whole number, found true
balance.name: expected "none", "ngca", "class_weights", "subsample" or "count", found 1
balance.score_augmented: expected true or false, found "yes"
head.dropout: expected a number of 0 or more, below 1, found "half"
""",
    ),
    "numbers that are none": (
        """
[grid]
lr = [nan, inf, -inf]
[optimiser]
momentum = nan
""",
        """
grid.lr[0]: expected a finite number above 0, found nan
grid.lr[1]: expected a finite number above 0, found inf
grid.lr[2]: expected a finite number above 0, found -inf
optimiser.momentum: expected a finite number of 0 or more, below 1, found nan
""",
    ),
    "empty lists": (
        """
[head]
dropout = []
[optimiser]
name = []
[grid]
lr = []
""",
        """
grid.lr: expected at least one value, found an empty list
head.dropout: expected at least one value, found an empty list
optimiser.name: expected at least one value, found an empty list
""",
    ),
    "values twice": (
        """
[head]
dropout = [0.5, 0.2, 0.5]
[optimiser]
name = ["adam", "adamw"]
betas = [[0.9, 0.99], [0.9, 0.99]]
[grid]
batch_size = [8, 8]
""",
        """
grid.batch_size: expected different values, found 8 more than once
head.dropout: expected different values, found 0.5 more than once
optimiser.betas: expected different values, found [0.9, 0.99] more than once
""",
    ),
    "augmentations that do not go together": (
        """
[augmentation]
names = ["flips", "dihedral"]
scale = [0.9, 0.1]
[straightforward]
augmentation = [["none"], ["flips", "none"], ["mixup", "feature_mixup"], "flops"]
[extension]
augmentation = ["noise", "noise"]
[unfreezing]
augmentation = { names = [["crop"], ["flips"]], magnitude = 31, hue = 0.1 }
""",
        """
straightforward.augmentation[1]: expected "none" alone (to try each: [["none"], ["flips"]]), found flips, none
straightforward.augmentation[2]: expected "feature_mixup" without "mixup", found mixup, feature_mixup
straightforward.augmentation[3]: expected AUGMENTATIONS, found "flops"; did you mean 'flips'?
extension.augmentation: expected each augmentation once, found noise, noise
unfreezing.augmentation.magnitude: expected a whole number from 0 to 30, found 31
augmentation.names: expected "dihedral" without "flips", found flips, dihedral
augmentation.scale: expected two numbers, the smaller first, found [0.9, 0.1]
unfreezing.augmentation.hue: expected nothing with augmentation.names ["crop"], ["flips"], found 0.1
""",
    ),
    "pairs of numbers": (
        """
[optimiser]
name = "adam"
betas = [0.9]
[extension]
pairs = [[0.1, 8], [0.1, 8], [0.0, 8], [0.1]]
[unfreezing]
optimiser = { name = "adam", betas = [0.9, 1.0] }
""",
        """
extension.pairs[2][0]: expected a number above 0, found 0.0
extension.pairs[3][1]: expected a value, found nothing
unfreezing.optimiser.betas: expected a list of 2 numbers of 0 or more, below 1, found [0.9, 1.0]
optimiser.betas: expected a list of 2 numbers of 0 or more, below 1, found [0.9]
extension.pairs: expected different values, found [0.1, 8] more than once
""",
    ),
    "settings that cannot matter": (
        """
[optimiser]
name = "adam"
momentum = 0.9
[balance]
name = "class_weights"
score_augmented = true
[selection]
rule = "worse_of_both"
[straightforward]
head = { non_linearities = 0, dropout = 0.5 }
""",
        """
balance.score_augmented: expected nothing with balance.name "class_weights", found true
optimiser.momentum: expected nothing with optimiser.name "adam", found 0.9
selection.rule: expected nothing with balance.name "class_weights", found "worse_of_both"
straightforward.head.dropout: expected nothing with head.non_linearities 0 and head.name "halving", found 0.5
straightforward.head.non_linearities: expected nothing, as the strategy fixes it, found 0
""",
    ),
    "settings that hang on a default": (
        """
[optimiser]
betas = [0.9, 0.99]
[balance]
score_augmented = true
""",
        """
balance.score_augmented: expected nothing with balance.name "none", found true
optimiser.betas: expected nothing with optimiser.name "sgd", found [0.9, 0.99]
""",
    ),
    "a setting in two places": (
        """
[grid]
lr = 0.1
batch_size = 8
optimiser = { lr = 0.2, batch_size = [16] }
[extension]
pairs = [[0.1, 8]]
lr = [0.1]
""",
        """
grid.optimiser.lr: expected one of lr and optimiser.lr, found both
grid.optimiser.batch_size: expected one of batch_size and optimiser.batch_size, found both
extension.lr: expected either pairs or lr and batch_size, found both
""",
    ),
    "what a strategy holds": (
        """
[straightforward]
non_linearities = 1
unfrozen = 1
[extension]
unfrozen = [2]
""",
        """
straightforward.non_linearities: expected nothing, as the strategy fixes it, found 1
straightforward.unfrozen: expected nothing, as the strategy fixes it, found 1
extension.unfrozen: expected nothing, as the strategy fixes it, found 2
""",
    ),
    "classes": (
        """
task = "binary"
classes = ["a", "b", "c"]
positive = "d"
""",
        """
classes: expected two for the task "binary", found 3
positive: expected one of the classes a, b, c, found "d"
""",
    ),
    "names of classes": (
        """
classes = ["a", "b"]
class_names = { A = "a", B = "a", C = "c" }
""",
        """
class_names: "a" is given twice
class_names: expected names of the classes a, b, found ["c"]
""",
    ),
    "several classes and a positive one": (
        """
classes = ["a", "a", 3]
positive = 1
task = "segmentation"
""",
        """
task: expected "binary" or "multiclass" (one label per image), found "segmentation", which is not supported
classes[2]: expected text in quotes, found 3
positive: expected text in quotes, found 1
classes: expected different values, found "a" more than once
""",
    ),
    "shares": (
        """
[partition]
policy = "random"
targets = [0.5, 0.5, 0.5]
seed = -1
""",
        """
partition.policy: expected "stratified", "psp", "ifp" or "ifpo", found "random"
partition.targets: expected shares of train, valid and test that sum to 1, found a sum of 1.5
partition.seed: expected 0 or more, found -1
""",
    ),
    "crops without a square": (
        """
[image]
crops = [1, 4]
[small]
crops = 65
""",
        """
small.crops: expected 64 or less, found 65
image.store_size: expected a size to cut 4 crops from, found nothing
small: expected a table for at least one of STRATEGIES, found none
""",
    ),
    "backbones": (
        """
backbones = ["resnet18", { name = "resnet18" }, { nam = "vgg11" }, "keras:x", { name = "a b", grid = { lr = 0 } }]
""",
        """
backbones[2].name: expected a value, found nothing
backbones[2].nam: expected one of BACKBONE; found an unknown key; did you mean 'name'?
backbones[3]: expected letters, digits, '.', '_' and '-', after 'timm:' or 'torchvision:' or nothing, found "keras:x"
backbones[4].name: expected letters, digits, '.', '_' and '-', after 'timm:' or 'torchvision:' or nothing, found "a b"
backbones[4].grid.lr: expected a number above 0, found 0
backbones[1].name: expected each backbone once, found "resnet18" already at backbones[0]
""",
    ),
    "backbones and strategies": (
        """
[straightforward]
[[backbones]]
name = "x"
strategies = ["straightforward", "extention"]
unfreezing = { unfrozen = [-1] }
[[backbones]]
name = "y"
strategies = []
""",
        """
backbones[0].strategies[1]: expected QUOTED, found "extention"
backbones[0].unfreezing.unfrozen[0]: expected a whole number from 0 to 1,000, found -1
backbones[1].strategies: expected at least one value, found an empty list
backbones[0].unfreezing: expected no table, as its strategies leave it out, found one
""",
    ),
    "proposers and kinds of images that there are not": (
        """
search = { proposer = "grit" }
synthetic = "hep3"
balance = "ncga"
""",
        """
search.proposer: expected "grid" or "adaptive", found "grit"
synthetic: expected "neuroblastoma", "fluorescence", "hep2", "leukocytes" or "blood_cells", found "hep3"
balance: expected "none", "ngca", "class_weights", "subsample" or "count", found "ncga"; did you mean 'ngca'?
""",
    ),
    "a proposer that is none and a budget that buys nothing": (
        """
[search]
proposer = 3
budget = "0gpuh"
[grid]
lr = 0
""",
        """
grid.lr: expected a number above 0, found 0
search.proposer: expected "grid" or "adaptive", found 3
search.budget: expected a number of configurations, such as 60, or hours of training, such as 2gpuh, found "0gpuh"
""",
    ),
    "distributions": (
        """
[grid]
lr = { low = 0.1, high = 0.001 }
momentum = { low = 0.1, high = 1.0 }
batch_size = { low = 8, hihg = 64 }
dropout = { low = 0.1 }
[optimiser]
weight_decay = { low = 0.0, high = 0.1, log = true }
[head]
non_linearities = { low = 0, high = 400 }
negative_slope = { low = 0.1, high = 0.2, step = 0.5 }
[image]
store_size = { low = 32, high = 64, step = 0.5 }
crops = { low = 1, high = 4, log = 3 }
[loss]
name = { low = 1, high = 2 }
""",
        """
grid.dropout: expected a distribution from low to high, found no high
grid.lr: expected a low below high, found 0.1 and 0.001
grid.batch_size: expected a distribution with the keys low, high, log, step, found the key hihg; did you mean 'high'?
grid.momentum: expected a number of 0 or more, below 1 for low and high, found 1.0
image.store_size: expected a whole number for step, found 0.5
image.crops: expected true or false for log, found 3
head.non_linearities: expected at most 100 whole numbers, found 401; give a step
head.negative_slope: expected a step above 0, up to 0.1, found 0.5
loss.name: expected "cross_entropy", "smoothed", "focal" or "logit_adjusted", found {"low": 1, "high": 2}
optimiser.weight_decay: expected a low above 0 for a logarithmic scale, found 0
""",
    ),
    "tables for values and values for tables": (
        """
grid = 3
head = "deep"
[image]
crops = { low = 1 }
[partition]
targets = 0.7
[[search]]
sampler = "tpe"
""",
        """
partition.targets: expected a list in brackets, found 0.7
grid: expected a table, found 3
search: expected a table, found [{"sampler": "tpe"}]
image.crops: expected a distribution from low to high, found no high
head: expected a whole number from 0 to 1,000, found "deep"
""",
    ),
}


def test_twenty_files_are_broken() -> None:
    assert len(BROKEN) >= 20


@pytest.mark.parametrize("name", BROKEN)
def test_all_faults_of_a_file_are_told(tmp_path: Path, name: str) -> None:
    text, expected = BROKEN[name]
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\n{text}', encoding="utf-8")
    result = CliRunner().invoke(main, ["spaces", "check", str(file)])
    assert result.exit_code == 2
    assert result.stdout == ""
    faults = (
        expected.replace("STRATEGIES", STRATEGIES)
        .replace("QUOTED", QUOTED)
        .strip()
        .replace("FILE", FILE)
        .replace("TABLE", TABLE)
        .replace("BACKBONE", BACKBONE)
        .replace("HEAD", HEAD)
        .replace("METRICS", METRICS)
        .replace("AUGMENTATIONS", AUGMENTATIONS)
        .split("\n")
    )
    assert len(faults) > 1
    assert result.stderr.strip().split("\n") == [
        f"Error: {file}: {len(faults)} faults",
        *(f"  - {fault}" for fault in faults),
        f"Correct the file, then check it: orch spaces check {file}",
    ]
