"""Kinds of synthetic images that stand in for those of a study. One line each; imported where they are made."""

from __future__ import annotations

from search_spaces.settings.choice import Registry, Variant

_KINDS = "trainables.data.synthetic"
SYNTHETIC = Registry(
    "synthetic",
    (
        Variant(
            "neuroblastoma",
            f"{_KINDS}.neuroblastoma:NEUROBLASTOMA",
            "Tissue patches of neuroblastoma, D or PD.",
        ),
        Variant("fluorescence", f"{_KINDS}.fluorescence:FLUORESCENCE", "Fields of nuclei: good, anomaly or blurry."),
        Variant("hep2", f"{_KINDS}.hep2:HEP2", "HEp-2 cells with six staining patterns."),
        Variant(
            "leukocytes", f"{_KINDS}.leukocytes:LEUKOCYTES", "White blood cells, leukaemic (all) or healthy (hem)."
        ),
        Variant("blood_cells", f"{_KINDS}.blood_cells:BLOOD_CELLS", "Blood cells of eight types."),
    ),
)
