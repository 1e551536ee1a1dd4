"""Options that say which images are meant and how they are read; several commands share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import click

from orchestrator.commands.options import Command, local_path, within
from orchestrator.commands.reading import reading_of, rule_of_reading
from orchestrator.store.schema import Duplicates

if TYPE_CHECKING:
    from trainables.data.options import DatasetOptions

_READING = (
    *("group_by", "join_groups", "sheet", "file_column", "label_column", "group_column", "split_column"),
    *("duplicates", "fold_column", "layout", "test_fold", "valid_from_train", "data_root"),
)


class SplitWords(click.ParamType[tuple[tuple[str, str], ...]]):
    """`train=tr,valid=va,test=te` → (("tr", "train"), …); a split may have several words: train=tr,train=tr2."""

    name = "WORDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        if isinstance(value, tuple):
            return value
        split_of: dict[str, str] = {}
        for part in str(value).split(","):
            split, _, word = (text.strip() for text in part.partition("="))
            word = word.casefold()
            if split not in ("train", "valid", "test") or not word or split_of.get(word, split) != split:
                self.fail(f"expected train=WORD,valid=WORD,test=WORD with different words, found {part!r}", param, ctx)
            split_of[word] = split
        return tuple(split_of.items())


split_column_option = click.option(
    "--split-column", metavar="NAME|none", help="Table column with the split of each image, or none to use none."
)
split_words_option = click.option(
    "--split-words",
    metavar="SPLIT=WORD,…",
    type=SplitWords(),
    help="Words for the splits in table cells or folder names: train=train_set,valid=val_set,test=test_set.",
)


def how_to_read(data_root: str, when: str = "") -> list[Callable[[Command], Command]]:
    """Options that say how the images of --data are read.

    data_root: help of --data-root. when: stands before the help of the others, "With --data".
    """

    def told(sentence: str) -> str:
        return f"{when}: {within(sentence)}." if when else sentence

    return [
        click.option(
            "--group-by",
            metavar="RULE",
            help=told("What a group is: parent (the file's folder), none (each image), or a REGEX on the path."),
        ),
        click.option(
            "--join-groups",
            is_flag=True,
            help=told("Join groups whose names differ only in spelling (P01, p1, 'P 1')."),
        ),
        click.option(
            "--sheet", metavar="NAME", help=told("Sheet of an Excel workbook, if several sheets hold a table.")
        ),
        click.option("--file-column", metavar="NAME", help=told("Table column with the files.")),
        click.option(
            "--label-column",
            metavar="NAME",
            help=told("Table column with the labels; A,B,C: a column of 0 and 1 for each class."),
        ),
        click.option("--group-column", metavar="NAME", help=told("Table column with the groups (patients, slides).")),
        click.option(
            "--layout",
            metavar="LEVELS",
            help=told("What each level of folders means: class, group/class, split/class, fold/class; - for nothing."),
        ),
        click.option("--data-root", metavar="DIR", type=local_path(), help=data_root),
    ]


def all_reading(data_root: str) -> list[Callable[[Command], Command]]:
    """All options that say how images are read and divided, as a search takes them."""
    return [
        *how_to_read(data_root),
        split_column_option,
        split_words_option,
        click.option(
            "--fold-column", metavar="NAME", help="Table column with folds; each is the validation split in turn."
        ),
        click.option(
            "--test-fold", metavar="NAME|none", help="Fold to use as the test split, or none for no test split."
        ),
        click.option(
            "--valid-from-train",
            is_flag=True,
            help="For data with only train and test: draw valid from train, by groups; test stays as given.",
        ),
        rule_of_reading,
        click.option(
            "--duplicates",
            type=click.Choice(get_args(Duplicates)),
            help="What to do if images with equal pixels are in several splits or have several labels: refuse the data "
            "(default), keep-one of each (none if labels differ), or keep-all, which is noted in the study.",
        ),
        click.option(
            "--max-refused",
            metavar="SHARE",
            type=click.FloatRange(0, 1),
            default=0.1,
            show_default=True,
            help="Largest share of images that may be unusable; with more, the command stops.",
        ),
    ]


def data_to_search() -> list[Callable[[Command], Command]]:
    """Which images are searched, and all of `all_reading`."""
    return [
        click.option(
            "--data",
            metavar="DIR|TABLE",
            type=local_path(),
            help="Class folders, or a table of files, labels and groups; or an archive (.zip, .tar) or arrays (.npz).",
        ),
        *all_reading("Folder that the table's paths are relative to."),
    ]


def dataset_options(given: dict[str, Any]) -> DatasetOptions:
    """What `all_reading` parsed, or some of its options; raises click.UsageError where --data is among the options and
    was not given."""
    from trainables.data.options import DatasetOptions

    reading, percentiles = reading_of(given)
    said = (
        percentiles or str(reading) or any(given.get(name) not in (None, False) for name in (*_READING, "split_words"))
    )
    if given.get("data", "") is None and said:
        raise click.UsageError(
            "options about groups, splits, folders, columns, roots, values, pages and channels go with --data DIR or "
            "--data TABLE"
        )
    return DatasetOptions(
        **{name: given[name] for name in _READING if name in given},
        **({"max_refused_share": given["max_refused"]} if "max_refused" in given else {}),
        split_words=given["split_words"] or (),
        reading=reading,
        percentiles=percentiles,
    )
