"""Which DICOM objects are radiographs, decided from SOP class and modality before any pixel is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.dicom.attributes import text, to_uid
from suite.errors import NotARadiographError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PROJECTION_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray, for presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray, for processing",
    "1.2.840.10008.5.1.4.1.1.12.2": "X-Ray Radiofluoroscopy",
}
"""SOP classes that hold projection radiographs and nothing else."""

CAPTURE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
}
"""SOP classes that can hold anything; the modality says what was captured."""

FOR_PROCESSING_CLASS = "1.2.840.10008.5.1.4.1.1.1.1.1"

RADIOGRAPH_MODALITIES = frozenset({"CR", "DX", "RG", "RF", "DR"})
"""Modalities of projection radiographs; DR is not in the standard but in files."""

UNSPECIFIC_MODALITIES = frozenset({"OT", ""})

_MODALITY_NAMES = {
    "AR": "autorefraction",
    "CT": "computed tomography",
    "DOC": "a document",
    "ECG": "an electrocardiogram",
    "ES": "endoscopy",
    "IO": "an intra-oral radiograph",
    "IVUS": "intravascular ultrasound",
    "KO": "a key object selection",
    "MG": "mammography",
    "MR": "magnetic resonance",
    "NM": "nuclear medicine",
    "OP": "ophthalmic photography",
    "PR": "a presentation state",
    "PT": "positron emission tomography",
    "PX": "a panoramic dental radiograph",
    "RTDOSE": "a radiotherapy dose",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a radiotherapy structure set",
    "SEG": "a segmentation",
    "SM": "slide microscopy",
    "SR": "a structured report",
    "US": "ultrasound",
    "XA": "angiography",
    "XC": "a photograph",
}


def check_is_radiograph(dataset: Dataset, source: str) -> tuple[str, ...]:
    """Warnings about a data set's kind; empty when SOP class and modality both say radiograph.

    Raises:
        NotARadiographError: the object is of another kind; the message names it.
    """
    sop_class = text(dataset, "SOPClassUID") or ""
    modality = (text(dataset, "Modality") or "").upper()
    known_class = sop_class in PROJECTION_CLASSES or sop_class in CAPTURE_CLASSES or not sop_class
    if not known_class or modality not in RADIOGRAPH_MODALITIES | UNSPECIFIC_MODALITIES:
        raise NotARadiographError(
            f"{source}: this is {describe_kind(sop_class, modality)}, not a projection radiograph; "
            "give the CR or DX image of the study."
        )
    if sop_class in PROJECTION_CLASSES:
        return ()
    if modality in UNSPECIFIC_MODALITIES:
        return ("The headers do not say that this is a radiograph (neither SOP class nor modality).",)
    return ()


def describe_kind(sop_class: str, modality: str) -> str:
    """What an object is, in words: ``a CT Image (computed tomography)``."""
    name = to_uid(sop_class).name if sop_class else ""
    if name == sop_class:  # a class that the dictionary does not know is its own name
        name = ""
    name = name.removesuffix(" Storage").removesuffix(" - For Presentation").removesuffix(" - For Processing")
    meaning = _MODALITY_NAMES.get(modality, f"modality {modality}" if modality else "no modality given")
    if not name:
        return meaning if not sop_class else f"an object of the unknown class {sop_class} ({meaning})"
    if modality in RADIOGRAPH_MODALITIES | UNSPECIFIC_MODALITIES:
        return f"{_article(name)} {name}"
    return f"{_article(name)} {name} ({meaning})"


def _article(name: str) -> str:
    # Abbreviations are read letter by letter: an MR image, an RT plan, an X-ray.
    spelled = name.split()[0].isupper() and name[0] in "AEFHILMNORSX"
    return "an" if spelled or name[0] in "AEIO" or name.startswith(("X-", "Ultrasound")) else "a"
