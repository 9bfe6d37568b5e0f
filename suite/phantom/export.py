"""Computed films as DICOM: Digital X-Ray Images for presentation (PS3.3 A.26), as a modality sends them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from suite.study import FloatImage
from suite.version import __version__

if TYPE_CHECKING:
    from suite.phantom.limbs import LimbStudy
    from suite.phantom.study import PhantomStudy

Code = tuple[str, str]

VIEWS: Final[dict[str, Code]] = {
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
    "LL": ("399173006", "left lateral"),
}
"""View position to its SNOMED CT code and meaning (context group 4010)."""

REGIONS: Final[dict[str, tuple[str, str, str]]] = {
    "chest": ("CHEST", "816094009", "Chest"),
    "hand": ("HAND", "85562004", "Hand"),
    "wrist": ("WRIST", "8205005", "Wrist joint"),
    "elbow": ("ELBOW", "16953009", "Elbow joint"),
    "shoulder": ("SHOULDER", "16982005", "Shoulder"),
    "knee": ("KNEE", "72696002", "Knee"),
    "ankle": ("ANKLE", "70258002", "Ankle joint"),
    "foot": ("FOOT", "56459004", "Foot"),
    "pelvis": ("PELVIS", "12921003", "Pelvis"),
}
"""Body part to Body Part Examined and the anatomic region's SNOMED CT code and meaning (context group 4)."""

_FIRST_DAY: Final = date(2020, 1, 6)
_BITS: Final = {"film": 12, "flat": 14, "crisp": 12, "equalised": 15, "soft": 16, "dark": 12}
_INVERTED: Final = frozenset({"film", "soft"})
"""Display styles stored as MONOCHROME1, so that readers meet both polarities."""


@dataclass(frozen=True, slots=True)
class Film:
    """One film and what its header says beside the study's.

    Attributes:
        pixels: float32 (H, W) in [0, 1], bone white.
        view: PA, AP or LL.
        spacing: mm per pixel at the detector.
        laterality: L or R for paired parts, U otherwise.
        vendor: display style; decides bits stored and polarity.
        technique: further attributes by keyword.
    """

    pixels: FloatImage
    view: str
    spacing: float
    laterality: str = "U"
    vendor: str = "flat"
    technique: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who was examined and when: everything the films of one study share.

    Attributes:
        key: what all UIDs are computed from; equal keys give equal UIDs.
        number: 1, 2, 3 ... for name, date and accession number.
        patient_id: identifies the computed patient, and names the files.
        sex, age: as in the header; O for other where nothing depends on it.
        part: body part, a key of ``REGIONS``.
    """

    key: str
    number: int
    patient_id: str
    sex: str = "O"
    age: float = 50.0
    part: str = "chest"


def uid(*parts: str) -> UID:
    """A UID below 2.25 that depends on ``parts`` alone (PS3.5 B.2, with a hash for the UUID)."""
    digest = bytearray(hashlib.sha256("\0".join(("radsuite phantom", *parts)).encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80  # version 8, own content
    return UID(f"2.25.{int.from_bytes(digest, 'big')}")


def write_chest_dicom(folder: Path, study: PhantomStudy, visit: Visit) -> list[Path]:
    """Write the frontal film as ``ID.dcm`` and the lateral, if there is one, as ``ID-lateral.dcm``."""
    t = study.patient.technique
    grid = ["FIXED", "FOCUSED"]
    own: dict[str, Any] = {
        "KVP": round(t.kvp, 1),
        "DistanceSourceToDetector": round(t.sid, 1),
        "Grid": grid if t.grid else "NONE",
    }
    films = {"": Film(study.frontal, t.projection, study.spacing[0], vendor=t.vendor, technique=own)}
    if study.lateral is not None:
        spacing = study.lateral_spacing[0] if study.lateral_spacing else study.spacing[0]
        own = {"KVP": max(round(t.kvp, 1), 100.0), "DistanceSourceToDetector": 1800.0, "Grid": grid}
        films["-lateral"] = Film(study.lateral, "LL", spacing, vendor=t.vendor, technique=own)
    return write_films(folder, visit, films)


def write_limb_dicom(folder: Path, study: LimbStudy, visit: Visit) -> list[Path]:
    """Write the one film of a limb as ``ID.dcm`` into ``folder``."""
    technique = {"KVP": study.kvp, "DistanceSourceToDetector": round(study.sid, 1), "Grid": "NONE"}
    film = Film(study.image, study.view, study.spacing[0], study.laterality, study.vendor, technique)
    return write_films(folder, visit, {"": film})


def write_films(folder: Path, visit: Visit, films: dict[str, Film]) -> list[Path]:
    """Write each film as its own series into ``folder``, named by patient id and the film's suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for series, (suffix, film) in enumerate(films.items(), start=1):
        path = folder / f"{visit.patient_id}{suffix}.dcm"
        dcmwrite(path, film_dataset(visit, film, series), enforce_file_format=True)
        paths.append(path)
    return paths


def film_dataset(visit: Visit, film: Film, series: int) -> Dataset:
    """The complete DX data set of one film."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = uid(visit.key, "instance", str(series))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _put(dataset, _patient_and_study(visit))
    _put(dataset, _series_and_equipment(visit, film, series))
    _put(dataset, _anatomy(visit, film))
    _put(dataset, _detector(film))
    _put_pixels(dataset, film)
    return dataset


def _put(dataset: Dataset, attributes: dict[str, Any]) -> None:
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)


def _patient_and_study(visit: Visit) -> dict[str, Any]:
    day = _FIRST_DAY + timedelta(days=(visit.number - 1) % 1461)
    years = int(visit.age)
    return {
        "PatientName": f"Phantom^{visit.number:04d}",
        "PatientID": visit.patient_id,
        "PatientBirthDate": f"{day.year - years}0101",
        "PatientSex": visit.sex,
        "PatientAge": f"{years:03d}Y",
        "QualityControlSubject": "YES",
        "StudyInstanceUID": uid(visit.key, "study"),
        "StudyID": str(visit.number),
        "AccessionNumber": f"PH{visit.number:07d}",
        "StudyDate": day.strftime("%Y%m%d"),
        "StudyTime": "080000",
        "ReferringPhysicianName": "",
        "StudyDescription": f"{REGIONS[visit.part][2]}, computed",
    }


def _series_and_equipment(visit: Visit, film: Film, series: int) -> dict[str, Any]:
    day = (_FIRST_DAY + timedelta(days=(visit.number - 1) % 1461)).strftime("%Y%m%d")
    return {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": uid(visit.key, "instance", str(series)),
        "SeriesInstanceUID": uid(visit.key, "series", str(series)),
        "Modality": "DX",
        "SeriesNumber": series,
        "SeriesDate": day,
        "SeriesTime": f"0800{series:02d}",
        "SeriesDescription": f"{REGIONS[visit.part][2]} {film.view}",
        "PresentationIntentType": "FOR PRESENTATION",
        "InstanceNumber": 1,
        "ContentDate": day,
        "ContentTime": f"0800{series:02d}",
        "AcquisitionDate": day,
        "AcquisitionTime": f"0800{series:02d}",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "ImageComments": "Computed phantom, no person was exposed.",
        "Manufacturer": "radsuite",
        "ManufacturerModelName": f"Phantom, {film.vendor} display",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": __version__,
        "AcquisitionContextSequence": [],
    }


def _anatomy(visit: Visit, film: Film) -> dict[str, Any]:
    examined, code, meaning = REGIONS[visit.part]
    return {
        "BodyPartExamined": examined,
        "AnatomicRegionSequence": [_code(code, meaning)],
        "ViewPosition": film.view,
        "ViewCodeSequence": [_code(*VIEWS[film.view])],
        "PatientOrientation": ["P", "F"] if film.view == "LL" else ["L", "F"],
        "ImageLaterality": film.laterality,
        "PositionerType": "COLUMN" if visit.part in ("chest", "shoulder", "pelvis") else "NONE",
    }


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    _put(item, {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning})
    return item


def _detector(film: Film) -> dict[str, Any]:
    spacing = f"{film.spacing:.6g}"
    return {
        "DetectorType": "SCINTILLATOR",
        "DetectorConfiguration": "AREA",
        "ImagerPixelSpacing": [spacing, spacing],
        "FieldOfViewShape": "RECTANGLE",
        "FieldOfViewDimensions": [round(film.spacing * side) for side in film.pixels.shape],
        **film.technique,
    }


def _put_pixels(dataset: Dataset, film: Film) -> None:
    """Film values times the largest stored one; inverted where the style stores negatives."""
    bits = _BITS.get(film.vendor, 12)
    top = (1 << bits) - 1
    inverted = film.vendor in _INVERTED
    stored = np.rint(np.clip(film.pixels, 0.0, 1.0).astype(np.float64) * top)
    stored = top - stored if inverted else stored
    _put(dataset, {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
        "Rows": film.pixels.shape[0],
        "Columns": film.pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": 1 if inverted else -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "INVERSE" if inverted else "IDENTITY",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        # Centre and width of the whole range: the linear window of PS3.3 C.11.2.1.2 is then the identity.
        "WindowCenter": str(1 << (bits - 1)),
        "WindowWidth": str(1 << bits),
    })  # fmt: skip
    dataset.PixelData = np.ascontiguousarray(stored.astype("<u2")).tobytes()
