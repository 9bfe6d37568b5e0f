"""One computed study as a folder: 16-bit films, 8-bit masks and ``truth.json``, see docs/phantom.md."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.phantom.encoding import (
    Mask,
    bone_words,
    exposure_words,
    film_words,
    rib_map,
    rib_planes,
    sides,
    write_png,
)
from suite.phantom.layout import COLUMNS, SCHEMA

if TYPE_CHECKING:
    from suite.phantom.limbs import LimbStudy
    from suite.phantom.study import PhantomStudy


def write_chest(
    folder: Path, study: PhantomStudy, identity: Mapping[str, Any], findings: Sequence[Any] = (),
    noisy_labels: Mapping[str, int] | None = None,
) -> None:  # fmt: skip
    """Write every picture of a chest study and its truth into ``folder``.

    Args:
        identity: ``id``, ``seed`` and ``index`` of the study, and the cohort's settings.
        findings: the edits that were applied; those that are dataclasses are recorded with their values.
        noisy_labels: what the manifest shall say instead of the truth.
    """
    files = _write_films(folder, study)
    files |= _write_masks(folder, _frontal_masks(study.masks))
    if study.lateral is not None:
        files |= _write_masks(folder, _lateral_masks(study.lateral_masks))
    truth = {
        "schema": SCHEMA,
        **identity,
        "part": "chest",
        "view": study.patient.technique.projection,
        "sex": study.patient.sex,
        "age": round(study.patient.age, 1),
        "rows": study.frontal.shape[0],
        "columns": study.frontal.shape[1],
        "spacing_mm": study.spacing[0],
        "lateral_spacing_mm": study.lateral_spacing[0] if study.lateral_spacing else None,
        "labels": study.labels,
        "noisy_labels": noisy_labels,
        "abnormal": is_abnormal(study.labels),
        "cardiothoracic_ratio": study.cardiothoracic_ratio,
        "boxes": _boxes(study),
        "measurements": study.measurements,
        "findings": [describe(edit) for edit in findings],
        "patient": asdict(study.patient),
        "files": files,
    }
    write_truth(folder, truth)


def write_limb(folder: Path, study: LimbStudy, identity: Mapping[str, Any]) -> None:
    """Write film, tissue map and truth of a limb into ``folder``."""
    write_png(folder / "frontal.png", film_words(study.image))
    write_png(folder / "tissue.png", study.tissue)
    truth = {
        "schema": SCHEMA,
        **identity,
        "part": study.part,
        "view": study.view,
        "rows": study.image.shape[0],
        "columns": study.image.shape[1],
        "spacing_mm": study.spacing[0],
        "implants": list(study.implants),
        "files": {"frontal": "frontal.png", "tissue": "tissue.png"},
    }
    write_truth(folder, truth)


def is_abnormal(labels: Mapping[str, int]) -> int:
    """1 when any finding but support devices is present, as CheXpert defines its "no finding"."""
    return int(any(present for code, present in labels.items() if code != "support_devices"))


def describe(edit: object) -> dict[str, Any]:
    """A finding's edit by its type, and its values where it is a dataclass."""
    name: dict[str, Any] = {"type": type(edit).__name__, "codes": list(getattr(edit, "codes", ()))}
    if is_dataclass(edit) and not isinstance(edit, type):
        name |= {key: value for key, value in asdict(edit).items() if key != "codes"}
    return name


def _write_films(folder: Path, study: PhantomStudy) -> dict[str, str]:
    pictures = {
        "frontal": film_words(study.frontal),
        "raw": exposure_words(study.raw),
        "low": exposure_words(study.low),
        "high": exposure_words(study.high),
        "bone": bone_words(study.frontal, study.soft),
        "soft": film_words(study.soft),
    }
    if study.lateral is not None:
        pictures["lateral"] = film_words(study.lateral)
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture)
    return {name: f"{name}.png" for name in pictures}


def _write_masks(folder: Path, masks: Mapping[str, Mask]) -> dict[str, str]:
    for name, mask in masks.items():
        write_png(folder / f"{name}.png", mask)
    return {name: f"{name}.png" for name in masks}


def _frontal_masks(masks: dict[str, Mask]) -> dict[str, Mask]:
    return {
        "lung_mask": sides(masks["lung_right"], masks["lung_left"]),
        "lung_whole": sides(masks["lung_whole_right"], masks["lung_whole_left"]),
        "heart": _shown(masks["heart"]),
        "clavicles": sides(masks["clavicle_right"], masks["clavicle_left"]),
        "clavicles_scr": sides(masks["clavicle_scr_right"], masks["clavicle_scr_left"]),
        "ribs": rib_map(masks),
        "rib_planes": rib_planes(masks),
        "spine": _shown(masks["spine"]),
        "bone_mask": _shown(masks["bone"]),
        "tissue": masks["tissue"],
        **_finding_masks(masks, ""),
    }


def _lateral_masks(masks: dict[str, Mask]) -> dict[str, Mask]:
    return {
        "lateral_lung_whole": _shown(masks["lung_whole_right"] | masks["lung_whole_left"]),
        "lateral_heart": _shown(masks["heart"]),
        "lateral_spine": _shown(masks["spine"]),
        "lateral_tissue": masks["tissue"],
        **_finding_masks(masks, "lateral_"),
    }


def _finding_masks(masks: Mapping[str, Mask], prefix: str) -> dict[str, Mask]:
    return {prefix + name: _shown(mask) for name, mask in masks.items() if name.startswith("finding_")}


def _shown(mask: Mask) -> Mask:
    return np.where(mask > 0, 255, 0).astype(np.uint8)


def _boxes(study: PhantomStudy) -> dict[str, dict[str, list[int]]]:
    out: dict[str, dict[str, list[int]]] = {"frontal": {}, "lateral": {}}
    for (view, code), place in sorted(study.boxes.items()):
        out[view][code] = list(place)
    return out


def write_truth(folder: Path, truth: Mapping[str, Any]) -> None:
    """Write ``truth.json``; numbers that do not exist become null."""
    text = json.dumps(_plain(truth), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """``value`` in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def manifest_row(truth: Mapping[str, Any]) -> dict[str, str]:
    """One row of ``manifest.csv`` from a study's truth; what does not exist is empty."""
    name = truth["id"]
    row = {key: _cell(truth.get(key)) for key in COLUMNS}
    row |= {key: f"{name}/{file}" for key, file in truth["files"].items() if key in row}
    labels = truth.get("noisy_labels") or truth.get("labels") or {}
    row |= {code: _cell(value) for code, value in labels.items()}
    row["abnormal"] = _cell(is_abnormal(labels)) if labels else ""
    row["path"] = name
    row["lesion_mm"] = _cell(_largest_lesion(truth.get("measurements", {})))
    row["dicom"] = f"{name}/dicom" if truth.get("dicom") else ""
    return row


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _largest_lesion(measurements: Mapping[str, float | None]) -> float | None:
    found = [v for key, v in measurements.items() if key.startswith("lung_lesion") and v is not None]
    return max(found, default=None)
