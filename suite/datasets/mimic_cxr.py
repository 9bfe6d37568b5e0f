"""MIMIC-CXR-JPG (Johnson 2019): 377,110 films of 65,379 patients, labelled from reports.

Layout, as PhysioNet hands it out; the tables may stay gzipped::

    mimic-cxr-2.0.0-metadata.csv.gz    dicom_id, subject_id, study_id, ViewPosition ...
    mimic-cxr-2.0.0-split.csv.gz       dicom_id, study_id, subject_id, split (train | validate | test)
    mimic-cxr-2.0.0-chexpert.csv.gz    subject_id, study_id, 14 columns
    files/p10/p10000032/s50414267/DICOM.jpg

The split is the official one. There is one record a PA or AP film, with the first lateral of its study; films
of other views are left out. A study that the labeller did not read has no known label.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from suite.datasets.chexpert_labels import COLUMNS, NORMAL, StudyLabels
from suite.datasets.layout import require_films, require_match, table_rows
from suite.datasets.manifest import FilmFile, Manifest, Record, SplitName
from suite.errors import DatasetError

NAME = "mimic-cxr"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0; training and agreement needed"
CITATION = "Johnson et al. 2019, MIMIC-CXR-JPG, a large database of labeled chest radiographs"
LAYOUT = (
    "mimic-cxr-2.0.0-metadata.csv[.gz], -split.csv[.gz], -chexpert.csv[.gz], "
    "files/pXX/pSUBJECT/sSTUDY/DICOM.jpg"
)
FRONTAL = frozenset({"PA", "AP"})
LATERAL = frozenset({"LATERAL", "LL", "RL"})
_PARTS: dict[str, SplitName] = {"train": "train", "validate": "validation", "test": "test"}


class _Film(NamedTuple):
    dicom: str
    subject: str
    study: str
    view: str

    def path(self, folder: Path) -> Path:
        home = folder / "files" / f"p{self.subject[:2]}" / f"p{self.subject}" / f"s{self.study}"
        return home / f"{self.dicom}.jpg"


def read(folder: Path) -> Manifest:
    """All PA and AP films of the folder, with their laterals.

    Raises:
        DatasetError: the folder does not have the layout, a label or a part of the split is unknown, a film
            has no place in the split, or is not there.
    """
    metadata, split, chexpert = (_table(folder, kind) for kind in ("metadata", "split", "chexpert"))
    films = list(_films(metadata))
    require_films((film.path(folder) for film in films), metadata)
    parts = dict(_parts(split))
    said = dict(_labels(chexpert))
    laterals: dict[str, FilmFile] = {}
    for film in films:
        if film.view in LATERAL:
            laterals.setdefault(film.study, FilmFile(film.path(folder)))
    records = []
    for film in films:
        if film.view not in FRONTAL:
            continue
        if film.dicom not in parts:
            raise DatasetError(
                f"{split}: film {film.dicom} of {metadata.name} has no row; use tables of one version."
            )
        study = said.get(film.study, StudyLabels())
        records.append(
            Record(
                id=film.dicom,
                patient_id=f"{NAME}-{film.subject}",
                frontal=FilmFile(film.path(folder)),
                lateral=laterals.get(film.study),
                labels=study.labels,
                abnormal=study.abnormal,
                attributes={"view": film.view, "study": film.study},
                uncertain=study.uncertain,
                part=parts[film.dicom],
            )
        )
    return Manifest(NAME, tuple(records))


def _table(folder: Path, kind: str) -> Path:
    names = (f"mimic-cxr-2.0.0-{kind}.csv", f"mimic-cxr-2.*-{kind}.csv", f"mimic-cxr-2.*-{kind}.csv.gz")
    return require_match(folder, names, NAME, LAYOUT)


def _films(table: Path) -> Iterator[_Film]:
    for _, row in table_rows(table, ("dicom_id", "subject_id", "study_id"), ("ViewPosition",)):
        view = (row["ViewPosition"] or "").strip().upper()
        if view in FRONTAL or view in LATERAL:
            yield _Film(row["dicom_id"], row["subject_id"], row["study_id"], view)


def _parts(table: Path) -> Iterator[tuple[str, SplitName]]:
    for line, row in table_rows(table, ("dicom_id", "split")):
        if row["split"] not in _PARTS:
            raise DatasetError(
                f"{table}: line {line} has the split {row['split']!r}; use {', '.join(_PARTS)}."
            )
        yield row["dicom_id"], _PARTS[row["split"]]


def _labels(table: Path) -> Iterator[tuple[str, StudyLabels]]:
    for line, row in table_rows(table, ("study_id",), (*COLUMNS.values(), NORMAL)):
        yield row["study_id"], StudyLabels.of(row, table, line)
