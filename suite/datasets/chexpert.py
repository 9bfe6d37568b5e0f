"""CheXpert (Irvin 2019): 224,316 films of 65,240 patients, labelled from reports; small parts read by people.

Layout, as Stanford hands it out (``CheXpert-v1.0`` and ``-small`` alike)::

    train.csv, valid.csv, test.csv    Path, Sex, Age, Frontal/Lateral, AP/PA, No Finding, 13 columns
    train/patient00001/study1/view1_frontal.jpg, view2_lateral.jpg ...

``val_labels.csv`` and ``test_labels.csv``, as CheXlocalize names them, are read too. The split is the
official one; a set without the test part (it came later) tests on training patients kept back. There is one
record a frontal film, with the first lateral of its study; studies without a frontal film are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from suite.datasets.chexpert_labels import COLUMNS, StudyLabels
from suite.datasets.layout import require_films, table_rows
from suite.datasets.manifest import FilmFile, Manifest, Record, SplitName
from suite.errors import DatasetError

NAME = "chexpert"
LICENCE = "Stanford University Dataset Research Use Agreement; non-commercial, no redistribution"
CITATION = "Irvin et al. 2019, CheXpert: a large chest radiograph dataset with uncertainty labels (AAAI)"
LAYOUT = "train.csv, valid.csv, test.csv (optional), train/patientN/studyN/viewN_frontal.jpg"
TABLES: tuple[tuple[SplitName, tuple[str, ...]], ...] = (
    ("train", ("train.csv",)),
    ("validation", ("valid.csv", "val_labels.csv")),
    ("test", ("test.csv", "test_labels.csv")),
)
_PLACE = re.compile(r"(?:^|/)(patient\w+)/(study\w+)/(view\w*_(frontal|lateral)\.\w+)$")
_SEX = {"Male": "M", "Female": "F"}


class _Film(NamedTuple):
    part: SplitName
    table: Path
    line: int
    path: Path
    patient: str
    study: str
    lateral: bool
    row: dict[str, str]


def read(folder: Path) -> Manifest:
    """All frontal films of the folder, with their laterals.

    Raises:
        DatasetError: the folder does not have the layout, a label is unknown, or a film is not there.
    """
    tables = [
        (part, folder / name)
        for part, names in TABLES
        for name in names[:1] + tuple(n for n in names[1:] if not (folder / names[0]).is_file())
        if (folder / name).is_file()
    ]
    if not tables:
        raise DatasetError(f"{folder}: train.csv is missing; data set {NAME} needs {LAYOUT}.")
    records: list[Record] = []
    for part, table in tables:
        films = list(_films(folder, part, table))
        require_films((film.path for film in films), table)
        records += _records(films)
    return Manifest(NAME, tuple(records))


def _films(folder: Path, part: SplitName, table: Path) -> Iterator[_Film]:
    for line, row in table_rows(table, ("Path",), tuple(COLUMNS.values())):
        place = _PLACE.search(row["Path"])
        if place is None:
            raise DatasetError(
                f"{table}: line {line} has the path {row['Path']!r}, "
                "which is not of the form patientN/studyN/viewN_frontal.jpg; restore the set's own table."
            )
        patient, study, _, view = place.groups()
        path = folder / _inside(PurePosixPath(row["Path"]))
        yield _Film(part, table, line, path, patient, study, view == "lateral", row)


def _inside(path: PurePosixPath) -> PurePosixPath:
    """A table's path without the name of the set's own folder, which the user may have changed."""
    first = path.parts[0]
    return PurePosixPath(*path.parts[1:]) if first.lower().startswith("chexpert") else path


def _records(films: list[_Film]) -> Iterator[Record]:
    laterals: dict[tuple[str, str], FilmFile] = {}
    for film in films:
        if film.lateral:
            laterals.setdefault((film.patient, film.study), FilmFile(film.path))
    for film in films:
        said = StudyLabels.of(film.row, film.table, film.line)
        if film.lateral:
            continue
        yield Record(
            id=f"{film.patient}-{film.study}-{film.path.stem}",
            patient_id=f"{NAME}-{film.patient}",
            frontal=FilmFile(film.path),
            lateral=laterals.get((film.patient, film.study)),
            labels=said.labels,
            abnormal=said.abnormal,
            attributes=_attributes(film.row),
            uncertain=said.uncertain,
            part=film.part,
        )


def _attributes(row: dict[str, str]) -> dict[str, str]:
    known = {
        "view": row.get("AP/PA") or "",
        "sex": _SEX.get(row.get("Sex") or "", ""),
        "age": row.get("Age") or "",
    }
    return {key: value for key, value in known.items() if value}
