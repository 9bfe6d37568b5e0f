"""Whether an instance that came over the wire is a film this suite can read, decided before it is stored."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import FileMetaDataset

from suite.dicom.attributes import MALFORMED, parser_silenced, text, to_uid
from suite.dicom.kinds import check_is_radiograph
from suite.dicom.network.classes import ACCEPTED_CLASSES, accepted_syntaxes
from suite.dicom.network.statuses import RefusedInstanceError, Status
from suite.dicom.pixel_layout import read_layout
from suite.dicom.pixels import check_pixel_data, has_pixels
from suite.dicom.reading import read_dataset
from suite.errors import UnreadableFileError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_UID = 64
_PREAMBLE = 128


@dataclass(frozen=True, slots=True)
class Received:
    """A film whose headers and pixel data were looked at.

    Attributes:
        sha256: over transfer syntax and data set, without the file's preamble and meta header, which every
            sender writes anew.
        is_computed: it is a picture this suite made, sent back by a PACS; no film to read.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str
    transfer_syntax: str
    sha256: str
    dataset: Dataset
    is_computed: bool = False


@dataclass(frozen=True, slots=True)
class Announced:
    """What the sender said it would send; ``None`` where it did not say."""

    class_uid: str | None = None
    instance_uid: str | None = None
    study_uid: str | None = None


def examine(path: Path, announced: Announced | None = None) -> Received:
    """The identity of a film in a DICOM file, after every check that needs no decoding.

    Raises:
        RefusedInstanceError: its UIDs are missing, malformed or not those announced, or its class is not
            taken.
        InputError: as :func:`suite.dicom.reading.read_radiograph`, without decoding.
    """
    dataset = read_dataset(path, "instance")
    found = {keyword: _uid(dataset, keyword) for keyword in ("SOPClassUID", "SOPInstanceUID")}
    found |= {keyword: _uid(dataset, keyword) for keyword in ("StudyInstanceUID", "SeriesInstanceUID")}
    _check_class(found["SOPClassUID"])
    _compare(found, announced or Announced())
    check_is_radiograph(dataset, "instance")
    layout = read_layout(dataset, "instance")
    if not has_pixels(dataset):
        raise RefusedInstanceError(
            Status.UNREADABLE, "instance: it holds no pixel data; send the image itself."
        )
    if layout.transfer_syntax not in accepted_syntaxes():
        raise RefusedInstanceError(
            Status.UNSUPPORTED_PIXELS, "instance: its transfer syntax is not read; send it uncompressed."
        )
    check_pixel_data(dataset, layout, "instance")
    return Received(
        study_uid=found["StudyInstanceUID"],
        series_uid=found["SeriesInstanceUID"],
        instance_uid=found["SOPInstanceUID"],
        class_uid=found["SOPClassUID"],
        transfer_syntax=layout.transfer_syntax,
        sha256=content_sha256(path, layout.transfer_syntax),
        dataset=dataset,
        is_computed=_is_computed(dataset),
    )


def with_preamble(content: bytes) -> bytes:
    """A DICOM file with preamble and meta header, whether or not its sender wrote them (PS3.10 7.1).

    Raises:
        UnreadableFileError: it cannot be read at all.
    """
    if content[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return content
    from pydicom import dcmread

    stream = BytesIO()
    try:
        with parser_silenced():
            dataset = dcmread(BytesIO(content), force=True)
            meta = getattr(dataset, "file_meta", None)
            if meta is None or "TransferSyntaxUID" not in meta:
                dataset.file_meta = FileMetaDataset()
                implicit, little = dataset.original_encoding
                plain = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
                dataset.file_meta.TransferSyntaxUID = to_uid(plain if little else "1.2.840.10008.1.2.2")
            dataset.save_as(stream, enforce_file_format=True)
    except (*MALFORMED, RuntimeError, MemoryError, RecursionError, OSError) as error:
        raise UnreadableFileError("instance: this is no DICOM file; send the film itself.") from error
    return stream.getvalue()


def is_uid(value: str) -> bool:
    """Whether a value has the form of a UID: digits and dots, at most 64 characters."""
    return len(value) <= _MAX_UID and _UID.fullmatch(value) is not None


def content_sha256(path: Path, transfer_syntax: str) -> str:
    """Over transfer syntax and data set of a file, without its preamble and group 2."""
    content = memoryview(path.read_bytes())
    digest = hashlib.sha256(transfer_syntax.encode() + b"\0")
    digest.update(content[_dataset_start(content) :])
    return digest.hexdigest()


def _dataset_start(content: memoryview) -> int:
    """Where group 2 ends, by its group length; 0 for a file without preamble or group length."""
    start = _PREAMBLE + 4
    if bytes(content[_PREAMBLE:start]) != b"DICM":
        return 0
    if bytes(content[start : start + 8]) != b"\x02\x00\x00\x00UL\x04\x00":
        return start
    return min(start + 12 + int.from_bytes(content[start + 8 : start + 12], "little"), len(content))


def _uid(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    if value is None or not is_uid(value):
        state = "is missing" if value is None else "is not a UID"
        raise RefusedInstanceError(
            Status.WRONG_UID, f"instance: its {keyword} {state}; correct it at the source."
        )
    return value


def _check_class(class_uid: str) -> None:
    if class_uid not in ACCEPTED_CLASSES:
        raise RefusedInstanceError(
            Status.CLASS_NOT_SUPPORTED,
            "instance: its SOP class holds no projection radiograph; send the CR or DX image.",
        )


def _is_computed(dataset: Dataset) -> bool:
    """Whether this suite made the picture (:mod:`suite.dicom.companion_images`); phantoms are films."""
    origin = (text(dataset, "ImageType") or "").split("\\")[0]
    return origin == "DERIVED" and "by radsuite" in (text(dataset, "DerivationDescription") or "")


def _compare(found: dict[str, str], announced: Announced) -> None:
    for keyword, wanted in (
        ("SOPClassUID", announced.class_uid),
        ("SOPInstanceUID", announced.instance_uid),
        ("StudyInstanceUID", announced.study_uid),
    ):
        if wanted is not None and found[keyword] != wanted:
            raise RefusedInstanceError(
                Status.WRONG_CLASS,
                f"instance: its {keyword} is not the one announced; send it again from the source.",
            )
