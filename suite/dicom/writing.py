"""A reading back into DICOM: structured report, segmentations, and derived pictures of one source film."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from suite.dicom.attributes import numbers, parser_silenced, text
from suite.dicom.companion_images import COMPANIONS, companion
from suite.dicom.mask_objects import SEGMENTS, segmentation
from suite.dicom.provenance import Maker, digest
from suite.dicom.reading import read_dataset
from suite.dicom.structured_report import structured_report
from suite.errors import InputError, StorageError

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


def write_dicom(
    report: Mapping[str, Any], images: Mapping[str, npt.NDArray[Any]], source: str | Path, out: str | Path
) -> list[Path]:
    """Write the results of one reading as DICOM objects of the source film's study.

    Args:
        report: ``report.json`` as a mapping.
        images: pictures on the grid of the source by their name in the report: ``lung_mask`` (128 right, 255
            left) and other masks as ``uint8 (H, W)``, ``bone_subtracted`` and ``bone_suppressed`` as
            ``uint16 (H, W)``. Others are passed over.
        source: the DICOM file of the frontal film.
        out: the folder; it is made if it does not exist.

    Returns:
        The files written: ``report.dcm`` and one for each picture, named after it.

    Raises:
        InputError: the source is no DICOM film with UIDs, or a picture is not on its grid.
        StorageError: the folder or a file cannot be written.
    """
    dataset = prepared_source(source)
    for name, picture in images.items():
        if name in SEGMENTS or name in COMPANIONS:
            _check_grid(name, picture, dataset, str(source))
    stages = (report.get("provenance") or {}).get("stages") or ()
    maker = Maker(
        source=dataset,
        version=str((report.get("provenance") or {}).get("radsuite", "unknown")),
        weights={stage["name"]: stage["weights_sha256"] for stage in stages if stage["weights_sha256"]},
        content=digest(report, images),
    )
    with parser_silenced():
        return [_save(item, Path(out) / f"{name}.dcm") for name, item in _objects(report, images, maker)]


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


def _correct_age(dataset: Dataset) -> None:
    age = text(dataset, "PatientAge")
    if age is None or _AGE.fullmatch(age):
        return
    years = _YEARS.fullmatch(age)
    if years and 0 < int(years[1]) < 130:
        dataset.PatientAge = f"{int(years[1]):03d}Y"
    else:
        del dataset.PatientAge


def _check_grid(name: str, picture: npt.NDArray[Any], source: Dataset, path: str) -> None:
    expected = np.uint8 if name in SEGMENTS else np.uint16
    if picture.shape != (source.Rows, source.Columns) or picture.dtype != expected:
        raise InputError(
            f"{path}: {name} is {picture.dtype} {picture.shape} and must be {np.dtype(expected)} "
            f"({source.Rows}, {source.Columns}) as its source; map it back first."
        )


def _objects(
    report: Mapping[str, Any], images: Mapping[str, npt.NDArray[Any]], maker: Maker
) -> Iterator[tuple[str, Dataset]]:
    yield "report", structured_report(report, maker)
    masks = [name for name in SEGMENTS if name in images]
    for instance, name in enumerate(masks, start=1):
        item = segmentation(name, images[name], maker, instance)
        if item is not None:
            yield name, item
    pictures = [name for name in COMPANIONS if name in images]
    for instance, name in enumerate(pictures, start=1):
        yield name, companion(name, images[name], maker, instance)


def _save(item: Dataset, path: Path) -> Path:
    """Write under another name first: a half-written object never has the final one."""
    unfinished = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        item.save_as(unfinished, enforce_file_format=True)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder.") from error
    return path
