"""Readings of a small chest by fake stages, for tests of the report and its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from suite.analysis import Analyzer
from suite.findings import CODES
from suite.reading import Reading
from suite.report.schema import validate
from suite.study import FULL_16_BIT, GreyScale, Projection, Study
from tests import fake_stages
from tests.made_films import chest

SHAPE = (300, 200)


def study(*, frontal: bool = True, lateral: bool = False, scale: GreyScale = FULL_16_BIT) -> Study:
    front = chest(*SHAPE, grey_scale=scale, spacing=(0.5, 0.25)) if frontal else None
    return Study("s1", front, chest(240, 260, 1, projection=Projection.LATERAL) if lateral else None)


def read(
    patch: pytest.MonkeyPatch,
    stages: Sequence[type],
    films: Study | None = None,
    *,
    override_gate: bool = False,
) -> Reading:
    """One reading by fake stages, its report checked against the schema as every report is on writing."""
    fake_stages.install(patch, stages)
    reading = Analyzer(device="cpu").run(films or study(), override_gate=override_gate)
    validate(reading.report)
    json.dumps(reading.report, allow_nan=False)
    return reading


def finding(reading: Reading, code: str) -> dict[str, Any]:
    found = reading.report["findings"][CODES.index(code)]
    assert found["code"] == code
    return found


def stored(folder: Path, name: str) -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture
