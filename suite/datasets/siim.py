"""SIIM-ACR Pneumothorax Segmentation 2019: DICOM films of NIH origin with run-length masks of the gas.

Layout, as the challenge hands it out::

    train-rle.csv             ImageId, EncodedPixels; stage_2_train.csv is read where that name is used
    dicom-images-train/**/ImageId.dcm   in a tree of study and series folders; other folders are searched too

``EncodedPixels`` is ``-1`` for a film without pneumothorax, else pairs of numbers down the columns: pixels to
skip since the last run's end, pixels inside. A film with several pneumothoraces has several rows. Films
without a row were never labelled and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES
from suite.study import Mask

LICENCE = "challenge rules of SIIM and ACR (Kaggle 2019); films from NIH ChestX-ray14"
LAYOUT = "train-rle.csv (ImageId, EncodedPixels), dicom-images-train/**/ImageId.dcm"
TABLES = ("train-rle.csv", "stage_2_train.csv")
EMPTY = "-1"
_SEPARATOR = "|"


def decode_rle(runs: str, shape: tuple[int, int]) -> Mask:
    """One run-length row as a mask (H, W) of 0 and 1.

    Args:
        runs: pairs of (pixels to skip since the last run, pixels inside), down the columns from the top left.
        shape: rows and columns of the film.

    Raises:
        DatasetError: not pairs of whole numbers, or a run leaves the film; the caller adds file and line.
    """
    try:
        numbers = np.array([int(word) for word in runs.split()], dtype=np.int64)
    except ValueError:
        raise DatasetError("holds something else than whole numbers") from None
    if not numbers.size or numbers.size % 2:
        raise DatasetError(f"holds {numbers.size} numbers, which are not pairs")
    if numbers[0::2].min() < 0 or numbers[1::2].min() <= 0:
        raise DatasetError("holds a negative skip or an empty run")
    ends = np.cumsum(numbers)
    rows, columns = shape
    if ends[-1] > rows * columns:
        raise DatasetError(f"reaches pixel {ends[-1]} of a film of {rows} x {columns} = {rows * columns}")
    flat = np.zeros(rows * columns, np.uint8)
    for start, end in zip(ends[0::2], ends[1::2], strict=True):
        flat[start:end] = 1
    return np.ascontiguousarray(flat.reshape(columns, rows).T)


def encode_rle(mask: Mask) -> str:
    """A mask (H, W) as the challenge wants it submitted; ``-1`` when it is empty."""
    flat = np.concatenate([[0], (mask.T > 0).ravel().astype(np.int8), [0]])
    changes = np.flatnonzero(np.diff(flat))
    if not changes.size:
        return EMPTY
    return " ".join(map(str, np.diff(changes, prepend=0)))


def read(folder: Path) -> Manifest:
    """All labelled films; ``pneumothorax`` is their one known label, ``pneumothorax_mask`` gives the outline.

    Raises:
        DatasetError: the folder does not have the layout, a row names a film that is not there, contradicts
            another, or leaves its film.
    """
    name = next((name for name in TABLES if (folder / name).is_file()), TABLES[0])
    table = require_file(folder, name, "siim", LAYOUT)
    films = {path.stem: path for path in sorted(folder.rglob("*.dcm"))}
    records = [_record(table, image, rows, films) for image, rows in _rows_by_image(table).items()]
    return Manifest("siim", tuple(records))


def pneumothorax_mask(record: Record) -> Mask:
    """All rows of a record as one mask (H, W) of 0 and 1, on the film's own pixels."""
    shape = (int(record.attributes["rows"]), int(record.attributes["columns"]))
    mask = np.zeros(shape, np.uint8)
    for runs in filter(None, record.attributes.get("rle", "").split(_SEPARATOR)):
        mask |= decode_rle(runs, shape)
    return mask


def _rows_by_image(table: Path) -> dict[str, dict[int, str]]:
    """The run-length texts of each image by their line in the table."""
    grouped: dict[str, dict[int, str]] = {}
    for line, row in enumerate(read_table(table, ("ImageId", "EncodedPixels")), start=2):
        grouped.setdefault(row["ImageId"].strip(), {})[line] = row["EncodedPixels"].strip()
    return grouped


def _record(table: Path, image: str, rows: dict[int, str], films: Mapping[str, Path]) -> Record:
    line = next(iter(rows))
    if image not in films:
        raise DatasetError(f"{table}: line {line} names {image}, which has no {image}.dcm; add the film.")
    header = _header(films[image])
    shape = (int(header["rows"]), int(header["columns"]))
    runs = [text for text in rows.values() if text != EMPTY]
    if runs and len(runs) < len(rows):
        raise DatasetError(
            f"{table}: line {line} and others call {image} both empty (-1) and not; keep what is right."
        )
    for line, text in rows.items():
        if text != EMPTY:
            _check(table, line, text, shape)
    labels = list(UNKNOWN)
    labels[CODES.index("pneumothorax")] = float(bool(runs))
    return Record(
        id=image,
        patient_id=f"siim-{header.pop('patient')}",
        frontal=FilmFile(films[image]),
        labels=tuple(labels),
        abnormal=1.0 if runs else float("nan"),
        attributes={**header, "rle": _SEPARATOR.join(runs)},
    )


def _check(table: Path, line: int, runs: str, shape: tuple[int, int]) -> None:
    try:
        decode_rle(runs, shape)
    except DatasetError as error:
        raise DatasetError(f"{table}: line {line} {error}; compare the table with the set's own.") from None


def _header(film: Path) -> dict[str, str]:
    """What the manifest needs of a film's header; its pixels are not read."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    names = ("Rows", "Columns", "PatientID", "ViewPosition", "PatientAge", "PatientSex")
    try:
        header = dcmread(film, stop_before_pixels=True, specific_tags=list(names))
        values = {
            "rows": str(int(header.Rows)),
            "columns": str(int(header.Columns)),
            "patient": str(header.get("PatientID") or film.stem),
        }
    except (OSError, InvalidDicomError, AttributeError, TypeError, ValueError) as error:
        raise DatasetError(f"{film}: is no readable DICOM film ({error}); fetch it again.") from None
    known = {"view": "ViewPosition", "age": "PatientAge", "sex": "PatientSex"}
    return values | {key: str(header.get(name)) for key, name in known.items() if header.get(name)}
