"""How a user's images are to be read: what cannot be seen from the files themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.store.schema import Duplicates
from trainables.data.decode import MAX_PIXELS
from trainables.data.percentiles import Percentiles
from trainables.data.reading import AS_IT_IS, Reading


@dataclass(frozen=True)
class DatasetOptions:
    """Every field has an option of the same name on the command line.

    group_by: "parent" (name of the file's folder), "none" (every image is its own group) or a regular expression whose
        group named `group`, else whose first one, is searched for in the file's path; it goes before any column.
    join_groups: groups whose names differ only in case, spaces, hyphens, Unicode form or the format of numbers are one;
        else they are refused.
    file_column, label_column, group_column, split_column: columns of a table, where their names are not usual ones;
        several label columns, with commas between them, are a class each and hold 0 and 1; split_column "none": no
        column is a given partition.
    sheet: the sheet of an Excel workbook, where several hold something.
    fold_column: the column with the folds of a cross-validation, which are then the partitions.
    split_words: (word in small letters, "train", "valid" or "test") where splits are written in unusual words.
    layout: what the levels of folders mean, `group/class` for instance, see `levels`; None: what is usual.
    test_fold: the fold that is the test split; "none": there is no test split.
    valid_from_train: valid is drawn from the train split of data that have train and test alone; test stays as given.
    undivided: splits and folds that the data have say nothing: all images are for one use.
    data_root: folder that a table's paths are relative to (default: the table's own folder). No file outside it is
        read; absolute paths are accepted only when it is given.
    reading: --intensity, the range of the samples of images with more than 8 bits (None: what the files declare, else
        found over all or by percentiles); --page and --channels, what is read of files with several.
    percentiles: --intensity as percentiles of the training split, which give the range where images need one.
    max_pixels: width × height above which a file is refused before it is decoded; the default is 10,000 × 10,000.
    max_refused_share: share (0–1) of the images that may be refused before the search stops.
    duplicates: what becomes of images with equal pixels in several splits or under several labels; None: not said, they
        are refused. keep-one: one of each is used. keep-all: all are, and the study says so.
    classes: the classes that a study names; the data must have exactly these.
    class_names: (as the data call a class, what the study calls it), for classes that have another name there.
    """

    group_by: str | None = None
    join_groups: bool = False
    file_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    sheet: str | None = None
    fold_column: str | None = None
    split_words: tuple[tuple[str, str], ...] = ()
    layout: str | None = None
    test_fold: str | None = None
    valid_from_train: bool = False
    undivided: bool = False
    data_root: Path | None = None
    reading: Reading = AS_IT_IS
    percentiles: Percentiles | None = None
    max_pixels: int = MAX_PIXELS
    max_refused_share: float = 0.1
    duplicates: Duplicates | None = None
    classes: tuple[str, ...] | None = None
    class_names: tuple[tuple[str, str], ...] = ()
