"""The files and table columns of a cohort; loads nothing heavy, so that data set listings can name them."""

from __future__ import annotations

from typing import Final

from suite.findings import CODES

SCHEMA: Final = "radsuite.phantom/1"

FILMS: Final = ("frontal", "lateral", "raw", "low", "high", "bone", "soft")
"""16-bit pictures of a chest study."""

MASKS: Final = ("lung_mask", "lung_whole", "heart", "clavicles", "clavicles_scr", "ribs", "rib_planes",
                "spine", "bone_mask", "tissue", "lateral_lung_whole", "lateral_heart", "lateral_spine",
                "lateral_tissue")  # fmt: skip
"""8-bit pictures of a chest study, beside one for each finding in each view."""

HEADER: Final = ("id", "seed", "index", "part", "path", "frontal", *FILMS[1:], *MASKS)
COLUMNS: Final = (*HEADER, *CODES, "abnormal", "view", "sex", "age", "rows", "columns", "spacing_mm",
                  "lateral_spacing_mm", "cardiothoracic_ratio", "lesion_mm", "dicom")  # fmt: skip
"""Columns of ``manifest.csv``."""
