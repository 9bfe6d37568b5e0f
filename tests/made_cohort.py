"""A tiny cohort of computed chests, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.datasets.manifest import Manifest
from suite.datasets.registry import open_dataset
from suite.phantom.cohort import CohortSettings, parse_prevalence, write_cohort

STUDIES, SIDE = 14, 64


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 studies of 64 x 64 pixels with laterals; half of them have a broken rib."""
    folder = tmp_path_factory.getbasetemp() / "cohort"
    if (folder / "manifest.csv").is_file():  # another module's
        return folder
    settings = CohortSettings(seed=5, size=SIDE, prevalence=parse_prevalence(("fracture=0.5",)))
    write_cohort(settings, STUDIES, folder)
    return folder


@pytest.fixture(scope="session")
def cohort(cohort_folder: Path) -> Manifest:
    return open_dataset("phantom", cohort_folder)
