"""A finished reading of a small film, as the writers of DICOM objects get it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from suite.findings import FINDINGS
from tests.dicom_zoo import make_dataset, save, scattered

ROWS, COLUMNS = 96, 128
FILM = scattered(0, 4095, ROWS, COLUMNS)


def made_report() -> dict[str, Any]:
    """A pneumothorax with a region, one finding uncertain, one not suggested, the rest not trained."""
    findings: list[dict[str, Any]] = []
    for finding in FINDINGS:
        findings.append(
            {
                "code": finding.code,
                "name": finding.name,
                "score": None,
                "probability": None,
                "interval": None,
                "operating_point": None,
                "state": "not_trained",
                "regions": [],
                "heatmap": None,
            }
        )
    box = {"view": "frontal", "box": [10, 20, 50, 60], "zone": "right lower", "inside_lung": 0.6}
    side = {"view": "lateral", "box": [1, 2, 5, 6], "zone": "posterior", "inside_lung": None}
    for code, state, probability, regions in (
        ("pneumothorax", "suggested", 0.83, [box, side]),
        ("enlarged_cardiomediastinum", "uncertain", 0.41, []),
        ("edema", "not_suggested", 0.02, []),
    ):
        index = [finding.code for finding in FINDINGS].index(code)
        findings[index] |= {
            "state": state,
            "probability": probability,
            "interval": [probability - 0.02, probability + 0.1],
            "operating_point": 0.4,
            "regions": regions,
        }
    return {
        "schema": "radsuite.report/1",
        "study": {"id": "film", "views": {"frontal": {"spacing_mm": [0.2, 0.2]}}},
        "gate": {"accepted": True, "reasons": [], "checks": {}},
        "triage": {
            "score": 1.2,
            "probability": 0.9,
            "interval": [0.8, 0.95],
            "operating_point": 0.5,
            "state": "abnormal",
        },
        "findings": findings,
        "measurements": {},
        "images": {},
        "provenance": {
            "radsuite": "0.1.0",
            "stages": [{"name": "diagnosis", "weights_sha256": "ab" * 32, "device": "cpu", "seconds": 0.5}],
            "preprocessing": [],
        },
    }


def made_images() -> dict[str, np.ndarray[Any, Any]]:
    """Lungs of 50 x 35 and 40 x 40 pixels, bone layers, the film, and evidence for the pneumothorax."""
    mask = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    mask[20:70, 15:50] = 128
    mask[20:60, 80:120] = 255
    heat = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    heat[20:60, 10:50] = 100  # the region's box; below half of the peak
    heat[30:50, 20:40] = 200
    return {
        "film": (FILM * 16).astype(np.uint16),
        "lung_mask": mask,
        "heatmap_pneumothorax_frontal": heat,
        "bone_subtracted": (FILM * 16).astype(np.uint16),
        "bone_suppressed": (65535 - FILM * 16).astype(np.uint16),
        "residual": FILM.astype(np.uint16),
    }


def made_source(folder: Path, **changes: Any) -> Path:
    """The film as a CR file; ``changes`` are attributes, ``None`` removes one."""
    attributes: dict[str, Any] = {
        "ImagerPixelSpacing": [0.2, 0.2],
        "PatientOrientation": ["L", "F"],
        **changes,
    }
    return save(make_dataset(FILM, **attributes), folder / "film.dcm")
