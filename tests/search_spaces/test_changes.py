"""What the command line asks: any setting by its path or its short name, and all faults of it together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.store.errors import InputError
from search_spaces.changes import Changes, Typed, changes_of
from search_spaces.loader import default_space, load_space, parse_space
from search_spaces.points import points
from search_spaces.schema import Space
from search_spaces.tables import expected_words, from_file
from tests.support.configurations import asked

AUGMENTATIONS_SAID = (
    'some of "none", "crop", "flips", "dihedral", "randaugment", "augmix", "brightness", "contrast", "colour", '
    '"stain", "blur", "noise", "erasing", "mixup", "cutmix" or "feature_mixup", found "mixupp"; did you mean \'mixup\'?'
)
BAD_VALUE = {
    "network.ends_at": "3",
    "network.pooling": "max",
    "network.joined": "0",
    "network.precision": "fp16",
    "adaptation.name": "hole",
    "adaptation.unfrozen": "-1",
    "adaptation.layers": "[3]",
    "adaptation.start": "drown",
    "adaptation.norms": "movin",
    "adaptation.rank": "0",
    "adaptation.alpha": "0",
    "adaptation.lr_decay": "1.5",
    "adaptation.arithmetic": "fp16",
    "image.size": "7",
    "image.store_size": "7",
    "image.crops": "65",
    "image.interpolation": "bicubik",
    "image.borders": "croped",
    "image.fit": "stretch",
    "image.standardisation": "trian",
    "image.views": "9",
    "balance.name": "ncga",
    "balance.count": "0",
    "balance.score_augmented": "maybe",
    "augmentation.names": "mixupp",
    "augmentation.chance": "1",
    "augmentation.alpha": "0",
    "augmentation.cutmix_alpha": "0",
    "augmentation.scale": "0.5,1.5",
    "augmentation.ratio": "0,1",
    "augmentation.brightness": "1.5",
    "augmentation.contrast": "-0.1",
    "augmentation.saturation": "2",
    "augmentation.hue": "0.6",
    "augmentation.stain": "1.5",
    "augmentation.blur": "0",
    "augmentation.noise": "1.1",
    "augmentation.erasing": "1.1",
    "augmentation.erased": "0,0.3",
    "augmentation.operations": "15",
    "augmentation.magnitude": "31",
    "augmentation.severity": "11",
    "head.name": "width",
    "head.non_linearities": "1001",
    "head.widths": "64,0",
    "head.batch_norm": "maybe",
    "head.activation": "tanh",
    "head.negative_slope": "1",
    "head.dropout": "-0.1",
    "head.input_norm": "maybe",
    "head.excitation": "before",
    "head.reduction": "0",
    "head.penalty": "0",
    "loss.name": "focl",
    "loss.smoothing": "1",
    "loss.gamma": "-1",
    "loss.tau": "-0.5",
    "optimiser.name": "rmsprop",
    "optimiser.lr": "0",
    "optimiser.batch_size": "1000001",
    "optimiser.momentum": "1.5",
    "optimiser.betas": "0.9,1",
    "optimiser.weight_decay": "-1e-9",
    "optimiser.decay_on": "weight",
    "optimiser.clip": "-1",
    "optimiser.average": "1",
    "schedule.name": "cosin",
    "schedule.length": "0",
    "schedule.warm_up": "1",
    "schedule.factor": "1",
    "schedule.stretches": "0",
    "ending.name": "patient",
    "ending.patience": "0",
    "ending.min_gain": "-0.1",
    "selection.metric": "auc",
    "selection.of_class": "3",
    "selection.precision": "1.1",
    "selection.rule": "worse",
}
RANGES = {
    "network.ends_at": "text, found 3",
    "network.pooling": '"own", "class_token", "mean" or "both", found "max"',
    "network.joined": "a whole number from 1 to 100, found 0",
    "network.precision": '"fp32" or "bf16", found "fp16"; did you mean \'bf16\'?',
    "adaptation.name": '"last", "whole", "layers", "scale_and_shift", "bias" or "lora", found "hole"; '
    "did you mean 'whole'?",
    "adaptation.unfrozen": "a whole number from 0 to 1,000, found -1",
    "adaptation.layers": "a list of names, found [3]",
    "adaptation.start": '"weights" or "drawn", found "drown"; did you mean \'drawn\'?',
    "adaptation.norms": '"kept" or "moving", found "movin"; did you mean \'moving\'?',
    "adaptation.rank": "a whole number from 1 to 1,024, found 0",
    "adaptation.alpha": "a number above 0, found 0",
    "adaptation.lr_decay": "a number above 0, of 1 or less, found 1.5",
    "adaptation.arithmetic": '"fp32", "tf32" or "bf16", found "fp16"; did you mean \'bf16\'?',
    "image.size": "a whole number from 8 to 4,096, found 7",
    "image.store_size": "a whole number from 8 to 4,096, found 7",
    "image.crops": "a whole number from 1 to 64, found 65",
    "image.interpolation": '"bilinear", "bicubic" or "lanczos", found "bicubik"; did you mean \'bicubic\'?',
    "image.borders": '"kept" or "cropped", found "croped"; did you mean \'cropped\'?',
    "image.fit": '"crop", "pad" or "squash", found "stretch"',
    "image.standardisation": '"weights", "train", "half" or "each_split", found "trian"; did you mean \'train\'?',
    "image.views": "a whole number from 1 to 8, found 9",
    "balance.name": '"none", "ngca", "class_weights", "subsample" or "count", found "ncga"; did you mean \'ngca\'?',
    "balance.count": "a whole number from 1 to 1,000,000, found 0",
    "balance.score_augmented": 'true or false, found "maybe"',
    "augmentation.names": AUGMENTATIONS_SAID,
    "augmentation.chance": "a number of 0 or more, below 1, found 1",
    "augmentation.alpha": "a number above 0, found 0",
    "augmentation.cutmix_alpha": "a number above 0, found 0",
    "augmentation.scale": "a list of 2 numbers above 0, of 1 or less, found [0.5, 1.5]",
    "augmentation.ratio": "a list of 2 numbers from 0.1 to 10, found [0, 1]",
    "augmentation.brightness": "a number from 0 to 1, found 1.5",
    "augmentation.contrast": "a number from 0 to 1, found -0.1",
    "augmentation.saturation": "a number from 0 to 1, found 2",
    "augmentation.hue": "a number from 0 to 0.5, found 0.6",
    "augmentation.stain": "a number from 0 to 1, found 1.5",
    "augmentation.blur": "a number from 0.1 to 32, found 0",
    "augmentation.noise": "a number from 0 to 1, found 1.1",
    "augmentation.erasing": "a number from 0 to 1, found 1.1",
    "augmentation.erased": "a list of 2 numbers above 0, of 1 or less, found [0, 0.3]",
    "augmentation.operations": "a whole number from 1 to 14, found 15",
    "augmentation.magnitude": "a whole number from 0 to 30, found 31",
    "augmentation.severity": "a whole number from 1 to 10, found 11",
    "head.name": '"halving", "widths" or "logistic", found "width"; did you mean \'widths\'?',
    "head.non_linearities": "a whole number from 0 to 1,000, found 1001",
    "head.widths": "a list of whole numbers from 1 to 65,536, found [64, 0]",
    "head.batch_norm": 'true or false, found "maybe"',
    "head.activation": '"leaky_relu" or "gelu", found "tanh"',
    "head.negative_slope": "a number of 0 or more, below 1, found 1",
    "head.dropout": "a number of 0 or more, below 1, found -0.1",
    "head.input_norm": 'true or false, found "maybe"',
    "head.excitation": '"none" or "after_pooling", found "before"',
    "head.reduction": "a whole number from 1 to 65,536, found 0",
    "head.penalty": "a number above 0, found 0",
    "loss.name": '"cross_entropy", "smoothed", "focal" or "logit_adjusted", found "focl"; did you mean \'focal\'?',
    "loss.smoothing": "a number of 0 or more, below 1, found 1",
    "loss.gamma": "a number of 0 or more, found -1",
    "loss.tau": "a number of 0 or more, found -0.5",
    "optimiser.name": '"sgd", "adam", "adamw" or "lion", found "rmsprop"',
    "optimiser.lr": "a number above 0, found 0",
    "optimiser.batch_size": "a whole number from 1 to 1,000,000, found 1000001",
    "optimiser.momentum": "a number of 0 or more, below 1, found 1.5",
    "optimiser.betas": "a list of 2 numbers of 0 or more, below 1, found [0.9, 1]",
    "optimiser.weight_decay": "a number of 0 or more, below 1, found -1e-09",
    "optimiser.decay_on": '"all" or "weights", found "weight"; did you mean \'weights\'?',
    "optimiser.clip": "a number of 0 or more, found -1",
    "optimiser.average": "a number of 0 or more, below 1, found 1",
    "schedule.name": '"constant", "linear", "cosine" or "step", found "cosin"; did you mean \'cosine\'?',
    "schedule.length": "a whole number from 1 to 1,000,000, found 0",
    "schedule.warm_up": "a number of 0 or more, below 1, found 1",
    "schedule.factor": "a number of 0 or more, below 1, found 1",
    "schedule.stretches": "a whole number from 1 to 1,000,000, found 0",
    "ending.name": '"complete" or "patience", found "patient"; did you mean \'patience\'?',
    "ending.patience": "a whole number from 1 to 1,000,000, found 0",
    "ending.min_gain": "a number of 0 or more, found -0.1",
    "selection.metric": '"loss", "accuracy", "balanced_accuracy", "macro_f1", "class_precision", "class_recall", '
    '"class_f1", "macro_auc" or "recall_at_precision", found "auc"',
    "selection.of_class": "text, found 3",
    "selection.precision": "a number above 0, of 1 or less, found 1.1",
    "selection.rule": '"valid" or "worse_of_both", found "worse"',
}


def given(*options: str, strategies: Sequence[str] | None = None) -> Changes:
    """`--set` of each `PATH=VALUES`."""
    typed = [text.partition("=") for text in options]
    return changes_of(
        [Typed(f"--set {name}", name, values if sign else None) for name, sign, values in typed], strategies
    )


def faults_of(*options: str, strategies: Sequence[str] | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        given(*options, strategies=strategies)
    assert caught.value.advice.endswith("orch spaces settings")
    head, *lines = caught.value.message.split("\n")
    if not lines:
        return [head.removeprefix("command line: ")]
    assert head == f"command line: {len(lines)} faults"
    return [line.removeprefix("  - ") for line in lines]


def mine(text: str) -> Space:
    return parse_space(f'name = "mine"\n{text}', "mine.toml")


def test_every_setting_of_a_file_is_tried() -> None:
    assert [*BAD_VALUE] == [*RANGES] == [one.path for one in from_file()]


@pytest.mark.parametrize("path", BAD_VALUE)
def test_a_value_out_of_range_is_told_the_whole_range(path: str) -> None:
    assert faults_of(f"{path}={BAD_VALUE[path]}") == [f"--set {path}: expected {RANGES[path]}"]
    (one,) = [one for one in from_file() if one.path == path]
    assert RANGES[path].startswith(expected_words(one))


def test_all_faults_of_all_options_are_told_together() -> None:
    typed = [
        Typed("--lr", "optimiser.lr", "0.1,-1.0,0.1"),
        Typed("--batch-size", "optimiser.batch_size", ""),
        Typed("--unfrozen", "adaptation.unfrozen", "2"),
        Typed("--optimiser", "optimiser.name", "adam"),
        Typed("--set optimiser.momentum", "optimiser.momentum", "0.5"),
        Typed("--set head.drop", "head.drop", "0.5"),
        Typed("--set image.views", "image.views", None),
        Typed("--set unfrozen", "unfrozen", "3"),
    ]
    with pytest.raises(InputError) as caught:
        changes_of(typed, ("extention", "straightforward"), epochs=0, repeats=-1)
    assert caught.value.message.split("\n") == [
        "command line: 10 faults",
        "  - --strategy: expected some of straightforward, extension, finetune, scratch, adapters, unfreezing, found "
        "'extention'; "
        "did you mean 'extension'?",
        "  - --epochs: expected 1 or more, found 0",
        "  - --repeats: expected 1 or more, found -1",
        "  - --lr (value 2): expected a number above 0, found -1.0",
        "  - --batch-size: expected at least one value, found nothing",
        "  - --set head.drop: expected the name of a setting, found 'head.drop'; "
        "did you mean 'head.dropout' or 'head' or 'head.reduction'?",
        "  - --set image.views: expected PATH=VALUES, such as optimiser.weight_decay=0,1e-4, found no =",
        "  - --set unfrozen: expected adaptation.unfrozen once, found it again",
        "  - --unfrozen: expected --strategy unfreezing with it, found straightforward",
        "  - --momentum: expected --optimiser sgd with it, found adam",
    ]


def test_a_strategy_is_named_with_which_a_setting_matters() -> None:
    assert faults_of("adaptation.start=drawn", strategies=["finetune"]) == [
        "--set adaptation.start: expected --strategy unfreezing with it, found finetune"
    ]


def test_what_steps_alone_need_is_refused_with_a_head_that_is_fitted() -> None:
    for option in ("optimiser.lr=0.1", "optimiser.momentum=0.5", "schedule.length=5", "head.dropout=0.1"):
        (told,) = faults_of("head.name=logistic", option, strategies=["extension"])
        heads = "halving or --head widths" if option.startswith("head") else "other than logistic"
        assert told.endswith(f": expected --head {heads} with it, found logistic")
    both = given("head.name=halving,logistic", "optimiser.lr=0.1,0.2", strategies=["extension"])
    names = [point.values["head.name"] for point in points(default_space(), "x", both, small=False)]
    assert names.count("logistic") == 1


def test_a_rule_that_looks_at_train_is_refused_where_train_says_something_else() -> None:
    for option, main, name in (("balance", "name", "class_weights"), ("augmentation", "names", "mixup")):
        (told,) = faults_of("selection.rule=worse_of_both", f"{option}.{main}={name}")
        others = " or cutmix or feature_mixup" if name == "mixup" else ""
        assert told == f"--set selection.rule: expected --{option} other than {name}{others} with it, found {name}"
        with pytest.raises(InputError, match=told):
            points(mine(f'{option} = "{name}"'), "x", given("selection.rule=worse_of_both"), small=False)
        for rule in ("valid", "worse_of_both"):
            file = mine(f'selection = {{ rule = "{rule}" }}')
            found = points(file, "x", given(f"{option}.{main}={name}"), small=False)
            assert {point.values["selection.rule"] for point in found} == {"valid"}
        given("selection.rule=valid", f"{option}.{main}={name}")
        points(mine(f'{option} = "{name}"'), "x", given("selection.rule=valid"), small=False)
    (told,) = faults_of("selection.rule=worse_of_both", "balance.name=class_weights", "augmentation.names=mixup")
    assert told.endswith(
        "expected --balance other than class_weights and --augmentation other than mixup or cutmix or feature_mixup "
        "with it, found class_weights and mixup"
    )
    both = given("selection.rule=worse_of_both", "balance.name=none,class_weights")
    found = {
        p.values["balance.name"]: p.values["selection.rule"] for p in points(default_space(), "x", both, small=False)
    }
    assert found == {"none": "worse_of_both", "class_weights": "valid"}


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("optimizer.lr=1", "optimiser.lr"),
        ("optimiser.learning_rate=1", "optimiser.lr"),
        ("learning_rat=1", "lr"),
        ("weight_decy=1", "weight_decay"),
        ("image.veiws=1", "image.views"),
    ],
)
def test_the_nearest_names_are_suggested(option: str, hint: str) -> None:
    (line,) = faults_of(option)
    assert "did you mean" in line
    assert f"'{hint}'" in line.partition("did you mean")[2]


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert faults_of("zzz=1") == ["--set zzz: expected the name of a setting, found 'zzz'"]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("flips", (("flips",),)),
        ("contrast,flips", (("flips", "contrast"),)),
        ("none,[contrast,flips]", (("none",), ("flips", "contrast"))),
        ('["none"],["flips"]', (("none",), ("flips",))),
    ],
)
def test_augmentations_are_combined_in_one_list_and_tried_in_several(
    typed: str, values: tuple[tuple[str, ...], ...]
) -> None:
    changes = given(f"augmentation={typed}")
    assert changes.values == {"augmentation.names": values}
    found = points(default_space(), "x", changes, small=False)
    assert {point.values["augmentation.names"] for point in found} == set(values)
    written = ", ".join(f"[{', '.join(map(repr, one))}]" for one in values)
    file = mine(f"augmentation = {written if len(values) == 1 else f'[{written}]'}")
    assert {point.values["augmentation.names"] for point in points(file, "x", given(), small=False)} == set(values)


def test_a_strength_matters_with_its_augmentation() -> None:
    (told,) = faults_of("augmentation=flips,noise", "augmentation.hue=0.1")
    assert told == "--set augmentation.hue: expected --augmentation colour with it, found flips, noise"
    found = points(default_space(), "x", given("augmentation=none,[flips,colour]", "augmentation.hue=0.1"), small=False)
    hues = {point.values["augmentation.names"]: point.values["augmentation.hue"] for point in found}
    assert hues == {("none",): 0.0, ("flips", "colour"): 0.1}


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (
            "augmentation=none,flips",
            'expected "none" alone (to try each: [["none"], ["flips"]])',
        ),
        ("augmentation=flips,flips", "expected each augmentation once, found flips, flips"),
        ("augmentation=dihedral,flips", 'expected "dihedral" without "flips", found dihedral, flips'),
        ("augmentation=cutmix,feature_mixup", 'expected "feature_mixup" without "cutmix"'),
        ("augmentation.scale=0.5,0.1", "expected two numbers, the smaller first, found [0.5, 0.1]"),
        ("augmentation=flips,mixupp", 'found ["flips", "mixupp"]; did you mean \'mixup\'?'),
    ],
)
def test_what_cannot_be_combined_is_refused(option: str, fault: str) -> None:
    (told,) = faults_of(option)
    assert fault in told


def test_values_are_read_as_they_are_typed() -> None:
    read = given(
        "optimiser.lr=1e-3, 1e-2",
        "optimiser.name=adam,adamw",
        "optimiser.betas=[0.9,0.99],[0.9,0.999]",
        "balance.score_augmented=true",
        "balance=ngca",
        "weight_decay=0,1e-4",
    ).values
    assert read == {
        "optimiser.lr": (1e-3, 1e-2),
        "optimiser.name": ("adam", "adamw"),
        "optimiser.betas": ((0.9, 0.99), (0.9, 0.999)),
        "balance.score_augmented": (True,),
        "balance.name": ("ngca",),
        "optimiser.weight_decay": (0.0, 1e-4),
    }
    assert given("optimiser.betas=0.9,0.99").values == {"optimiser.betas": ((0.9, 0.99),)}


def test_several_values_of_any_setting_are_an_axis() -> None:
    changes = given("optimiser.weight_decay=0,1e-4", "head.dropout=0.2,0.5", strategies=["extension"])
    plain = points(default_space(), "x", asked(strategies=("extension",)), small=False)
    found = points(default_space(), "x", changes, small=False)
    assert len(found) == 4 * len(plain)
    assert {(p.values["optimiser.weight_decay"], p.values["head.dropout"]) for p in found} == {
        (decay, dropout) for decay in (0.0, 1e-4) for dropout in (0.2, 0.5)
    }


@pytest.mark.parametrize(
    ("study", "option", "strategies", "told"),
    [
        ("default", "optimiser.betas=0.9,0.99", None, "--set optimiser.betas: expected --optimiser adam or adamw"),
        (
            "default",
            "head.dropout=0.1",
            ["straightforward"],
            "--dropout: expected --non-linearities above 0 or --head widths",
        ),
        ("default", "loss.smoothing=0.2", None, "--set loss.smoothing: expected --set loss.name=smoothed with it"),
        ("neuroblastoma", "image.views=4", None, "expected --balance none or class_weights or subsample"),
    ],
)
def test_a_value_that_matters_nowhere_is_refused(
    study: str, option: str, strategies: list[str] | None, told: str
) -> None:
    changes = given(option, strategies=strategies)
    with pytest.raises(InputError) as caught:
        points(load_space(study), "x", changes, small=False)
    found = {"optimiser": "sgd", "head": "0 and halving", "image": "ngca", "loss": "cross_entropy"}[
        option.partition(".")[0]
    ]
    assert told in caught.value.message
    assert caught.value.message.endswith(f"with it, found {found}")


def test_a_value_that_matters_somewhere_is_taken() -> None:
    found = points(default_space(), "x", given("head.dropout=0.1"), small=False)
    assert {p.values["head.dropout"] for p in found} == {0.0, 0.1}
