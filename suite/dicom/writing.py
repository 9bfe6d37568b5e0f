"""A reading back into DICOM: report, masks, derived pictures and contours of one source film."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from suite.dicom.attributes import numbers, parser_silenced, text
from suite.dicom.companion_images import COMPANIONS, companion
from suite.dicom.heatmap_images import heatmap_overlay
from suite.dicom.mask_objects import SEGMENTS, segmentation
from suite.dicom.parametric_map import parametric_map
from suite.dicom.presentation_state import presentation_state
from suite.dicom.provenance import Maker, digest
from suite.dicom.reading import read_dataset
from suite.dicom.reviews import Review
from suite.dicom.structured_report import structured_report
from suite.errors import InputError
from suite.storage import make_folder, write_bytes

_PATIENT_AND_STUDY = {
    "PatientName": "PN",
    "PatientID": "LO",
    "PatientBirthDate": "DA",
    "PatientSex": "CS",
    "StudyDate": "DA",
    "StudyTime": "TM",
    "AccessionNumber": "SH",
    "StudyID": "SH",
    "ReferringPhysicianName": "PN",
}
"""Attributes that every object of the study repeats; empty where the source lacks them."""

_AGE = re.compile(r"\d{3}[DWMY]")
_YEARS = re.compile(r"0*(\d{1,3})[Yy]?")
_SEXES = frozenset({"", "M", "F", "O"})


@dataclass(frozen=True, slots=True)
class Policy:
    """Which objects a site wants beside the report, the masks and the bone images.

    Attributes:
        heatmaps: a colour picture of the evidence for each suggested finding.
        presentation_state: contours as an overlay that a viewer can switch off.
        parametric_maps: the same evidence as numbers, for research viewers.
        labels: write finding and probability into the heatmaps' pixels.
    """

    heatmaps: bool = True
    presentation_state: bool = True
    parametric_maps: bool = False
    labels: bool = True


def write_dicom(
    report: Mapping[str, Any],
    images: Mapping[str, npt.NDArray[Any]],
    source: str | Path,
    out: str | Path,
    *,
    reviews: Sequence[Review] = (),
    policy: Policy | None = None,
) -> list[Path]:
    """Write the results of one reading as DICOM objects of the source film's study.

    The report is written last, so that what it refers to is there.

    Args:
        report: ``report.json`` as a mapping.
        images: pictures on the grid of the source by their name in the report: ``lung_mask`` (128 right, 255
            left) and other masks as ``uint8 (H, W)``, ``bone_subtracted`` and ``bone_suppressed`` as
            ``uint16 (H, W)``, ``film`` as ``uint16`` and ``heatmap_CODE_frontal`` as ``uint8 (H, W)``. Others
            are passed over.
        source: the DICOM file of the frontal film.
        out: the folder; it is made if it does not exist.
        reviews: readers' verdicts on findings, for the report.
        policy: which objects to write; ``None`` is the default policy.

    Returns:
        The files written: ``report.dcm`` and one for each other object, named after its picture.

    Raises:
        InputError: the source is no DICOM film with UIDs, or a picture is not on its grid.
        StorageError: the folder or a file cannot be written.
    """
    dataset = prepared_source(source)
    _widen_character_set(dataset, [review.reviewer for review in reviews])
    for name, picture in images.items():
        if (expected := _expected_type(name)) is not None:
            _check_grid(name, picture, expected, dataset, str(source))
    stages = (report.get("provenance") or {}).get("stages") or ()
    maker = Maker(
        source=dataset,
        version=str((report.get("provenance") or {}).get("radsuite", "unknown")),
        weights={stage["name"]: stage["weights_sha256"] for stage in stages if stage["weights_sha256"]},
        content=digest(report, images),
    )
    with parser_silenced():
        objects = _objects(report, images, maker, tuple(reviews), policy or Policy())
        return [_save(item, Path(out) / f"{name}.dcm") for name, item in objects]


def prepared_source(path: str | Path) -> Dataset:
    """The source's headers, corrected where they would make a derived object invalid.

    Empty patient and study attributes are added; an age such as ``68`` becomes ``068Y`` and any other invalid
    one is left out; a missing orientation becomes that of a frontal film as it is looked at.

    Raises:
        InputError: not a DICOM file, or without the UIDs by which results refer to it.
    """
    dataset = read_dataset(path, str(path), pixels=False)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if text(dataset, keyword) is None:
            raise InputError(f"{path}: it has no {keyword}, so DICOM results cannot refer to it; write none.")
    for keyword, representation in _PATIENT_AND_STUDY.items():
        if text(dataset, keyword) is None:
            dataset.add_new(keyword, representation, "")
    if (text(dataset, "PatientSex") or "") not in _SEXES:
        dataset.PatientSex = ""
    _correct_age(dataset)
    if len((text(dataset, "PatientOrientation") or "").split("\\")) != 2:
        dataset.PatientOrientation = ["L", "F"]
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if keyword in dataset and not all(value > 0 for value in numbers(dataset, keyword) or (0.0,)):
            delattr(dataset, keyword)
    return dataset


def _widen_character_set(dataset: Dataset, names: Sequence[str]) -> None:
    """Unicode where a reader's name has letters that the film's character set may lack; else as the film."""
    if all(name.isascii() for name in names):
        return
    with parser_silenced():
        dataset.decode()  # by the set that the film declares, before another one is declared
    dataset.SpecificCharacterSet = "ISO_IR 192"


def _correct_age(dataset: Dataset) -> None:
    age = text(dataset, "PatientAge")
    if age is None or _AGE.fullmatch(age):
        return
    years = _YEARS.fullmatch(age)
    if years and 0 < int(years[1]) < 130:
        dataset.PatientAge = f"{int(years[1]):03d}Y"
    else:
        del dataset.PatientAge


def _expected_type(name: str) -> type[np.generic] | None:
    """The element type of a picture by its name; ``None`` for one that no object is made of."""
    if name in SEGMENTS or (name.startswith("heatmap_") and name.endswith("_frontal")):
        return np.uint8
    return np.uint16 if name in COMPANIONS or name == "film" else None


def _check_grid(
    name: str, picture: npt.NDArray[Any], expected: type[np.generic], source: Dataset, path: str
) -> None:
    if picture.shape != (source.Rows, source.Columns) or picture.dtype != expected:
        raise InputError(
            f"{path}: {name} is {picture.dtype} {picture.shape} and must be {np.dtype(expected)} "
            f"({source.Rows}, {source.Columns}) as its source; map it back first."
        )


def _objects(
    report: Mapping[str, Any],
    images: Mapping[str, npt.NDArray[Any]],
    maker: Maker,
    reviews: tuple[Review, ...],
    policy: Policy,
) -> list[tuple[str, Dataset]]:
    """All objects of one reading by file name; the report is the last and names the others."""
    masks: dict[str, Dataset] = {}
    for instance, name in enumerate((name for name in SEGMENTS if name in images), start=1):
        item = segmentation(name, images[name], maker, instance)
        if item is not None:
            masks[name] = item
    others = dict(_pictures(report, images, maker, policy))
    written = structured_report(report, maker, reviews=reviews, masks=masks, evidence=list(others.values()))
    return [*masks.items(), *others.items(), ("report", written)]


def _pictures(
    report: Mapping[str, Any], images: Mapping[str, npt.NDArray[Any]], maker: Maker, policy: Policy
) -> Iterator[tuple[str, Dataset]]:
    pictures = [name for name in COMPANIONS if name in images]
    for instance, name in enumerate(pictures, start=1):
        yield name, companion(name, images[name], maker, instance)
    suggested = [finding for finding in report.get("findings") or () if finding["state"] == "suggested"]
    for instance, finding in enumerate(suggested, start=1):
        heatmap = images.get(f"heatmap_{finding['code']}_frontal")
        if heatmap is None:
            continue
        if policy.heatmaps and "film" in images:
            label = policy.labels
            overlay = heatmap_overlay(finding, images["film"], heatmap, maker, instance, label=label)
            yield f"heatmap_{finding['code']}", overlay
        if policy.parametric_maps:
            values = parametric_map(finding, heatmap, maker, instance)
            if values is not None:
                yield f"map_{finding['code']}", values
    if policy.presentation_state:
        contours = presentation_state(report, images, maker)
        if contours is not None:
            yield "contours", contours


def _save(item: Dataset, path: Path) -> Path:
    """Whole or not at all: an archive must never be sent half an object."""
    make_folder(path.parent)
    encoded = BytesIO()
    item.save_as(encoded, enforce_file_format=True)
    write_bytes(path, encoded.getvalue())
    return path
