"""PadChest (Bustos 2020): 160,868 films of 67,625 patients of San Juan, labelled from Spanish reports.

Layout, as BIMCV hands it out::

    PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv
                      ImageID, ImageDir, StudyID, PatientID, Projection, Labels, StudyDate_DICOM,
                      PhotometricInterpretation_DICOM ...
    0/IMAGE.png ... 54/IMAGE.png    16 bit; a folder ``images`` with all films is found too

``Labels`` is a list such as ``['pleural effusion', 'cardiomegaly']``. There is one record a film in PA, AP or
AP_horizontal, with the first lateral (L) of its study. Films that the set excludes, or calls suboptimal, know
nothing; neither do those that say "unchanged" and no more. There is no official split.

The PNGs hold the greys that the DICOM films held. Where that was MONOCHROME1 white and black are exchanged in
the PNG, and only the table says so.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from suite.datasets.layout import require_films, require_match, table_rows
from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.datasets.vocabulary import Vocabulary, named
from suite.errors import DatasetError

NAME = "padchest"
LICENCE = "PadChest Dataset Research Use Agreement; non-commercial, no redistribution"
CITATION = (
    "Bustos et al. 2020, PadChest: a large chest x-ray image dataset with multi-label annotated reports"
)
LAYOUT = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv[.gz], 0/IMAGE.png to 54/IMAGE.png"
TABLES = (
    "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    "PADCHEST_chest_x_ray_images_labels_*.csv",
    "PADCHEST_chest_x_ray_images_labels_*.csv.gz",
)
FRONTAL = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP"}
LATERAL = "L"
POLARITY = "PhotometricInterpretation_DICOM"
NEGATIVE = "MONOCHROME1"
NORMAL = "normal"
SAYS_NOTHING = named("unchanged", "")
UNREAD = named("exclude", "suboptimal study")

_LESIONS = named("nodule", "multiple nodules", "pulmonary mass", "lung metastasis")
_ATELECTASES = named(
    "atelectasis",
    "total atelectasis",
    "lobar atelectasis",
    "segmental atelectasis",
    "laminar atelectasis",
    "round atelectasis",
    "atelectasis basal",
)
_PATTERNS = named(
    "infiltrates",
    "alveolar pattern",
    "air bronchogram",
    "ground glass pattern",
    "interstitial pattern",
    "reticular interstitial pattern",
    "reticulonodular interstitial pattern",
    "miliary opacities",
    "increased density",
)
_PNEUMONIAS = named("pneumonia", "atypical pneumonia")
VOCABULARY = Vocabulary(
    {
        "enlarged_cardiomediastinum": named(
            "mediastinal enlargement", "superior mediastinal enlargement", "cardiomegaly"
        ),
        "cardiomegaly": named("cardiomegaly"),
        "lung_opacity": _LESIONS
        | _ATELECTASES
        | _PATTERNS
        | _PNEUMONIAS
        | named("consolidation", "pulmonary edema"),
        "lung_lesion": _LESIONS,
        "edema": named("pulmonary edema"),
        "consolidation": named("consolidation"),
        "pneumonia": _PNEUMONIAS,
        "atelectasis": _ATELECTASES,
        "pneumothorax": named("pneumothorax", "hydropneumothorax"),
        "pleural_effusion": named(
            "pleural effusion",
            "loculated pleural effusion",
            "loculated fissural effusion",
            "hydropneumothorax",
            "empyema",
            "hemothorax",
        ),
        "pleural_other": named(
            "pleural thickening",
            "apical pleural thickening",
            "calcified pleural thickening",
            "pleural plaques",
            "calcified pleural plaques",
        ),
        "fracture": named(
            "fracture", "rib fracture", "clavicle fracture", "humeral fracture", "vertebral fracture"
        ),
        "support_devices": named(
            "pacemaker",
            "dual chamber device",
            "single chamber device",
            "electrical device",
            "dai",
            "artificial heart valve",
            "artificial mitral heart valve",
            "artificial aortic heart valve",
            "endotracheal tube",
            "tracheostomy tube",
            "nsg tube",
            "chest drain tube",
            "gastrostomy tube",
            "ventriculoperitoneal drain tube",
            "catheter",
            "central venous catheter",
            "central venous catheter via subclavian vein",
            "central venous catheter via jugular vein",
            "central venous catheter via umbilical vein",
            "reservoir central venous catheter",
        ),
    },
    {
        "enlarged_cardiomediastinum": named(
            "mediastinal mass", "aortic aneurysm", "goiter", "pericardial effusion"
        ),
        "cardiomegaly": named("pericardial effusion"),
        "lung_lesion": named("mass", "granuloma", "calcified granuloma", "cavitation", "cyst", "abscess"),
        "edema": named(
            "heart insufficiency",
            "kerley lines",
            "vascular redistribution",
            "central vascular redistribution",
            "pulmonary venous hypertension",
            "hilar congestion",
        ),
        "consolidation": named("alveolar pattern", "air bronchogram", "infiltrates"),
        "pneumonia": named("infiltrates", "alveolar pattern", "tuberculosis"),
        "atelectasis": named("volume loss", "hypoexpansion", "hypoexpansion basal"),
        "pleural_effusion": named("costophrenic angle blunting"),
        "pleural_other": named(
            "pleural mass",
            "asbestosis signs",
            "fissure thickening",
            "minor fissure thickening",
            "major fissure thickening",
            "costophrenic angle blunting",
        ),
        "fracture": named("callus rib fracture", "vertebral compression", "vertebral anterior compression"),
        "support_devices": named(
            "metal",
            "prosthesis",
            "endoprosthesis",
            "aortic endoprosthesis",
            "humeral prosthesis",
            "osteosynthesis material",
            "suture material",
            "sternotomy",
            "bone cement",
            "double j stent",
            "nephrostomy tube",
            "external foreign body",
        ),
    },
)
"""Names of PadChest's own tree in lower case."""


class _Film(NamedTuple):
    image: str
    file: FilmFile
    patient: str
    study: str
    projection: str
    row: dict[str, str]
    line: int


def read(folder: Path) -> Manifest:
    """All frontal films of the folder, with their laterals.

    Raises:
        DatasetError: the folder does not have the layout, a list of labels cannot be read, or a film is not
            there.
    """
    table = require_match(folder, TABLES, NAME, LAYOUT)
    films = list(_films(folder, table))
    require_films((film.file.path for film in films), table)
    laterals: dict[str, FilmFile] = {}
    for film in films:
        if film.projection == LATERAL:
            laterals.setdefault(film.study, film.file)
    records = []
    for film in films:
        names = _names(film, table)
        if film.projection not in FRONTAL:
            continue
        labels, abnormal = labels_from(names)
        records.append(
            Record(
                id=Path(film.image).stem,
                patient_id=f"{NAME}-{film.patient}",
                frontal=film.file,
                lateral=laterals.get(film.study),
                labels=labels,
                abnormal=abnormal,
                attributes=_attributes(film),
            )
        )
    return Manifest(NAME, tuple(records))


def labels_from(names: Collection[str]) -> tuple[tuple[float, ...], float]:
    """The 13 labels and the abnormal label of the set's own names in lower case."""
    said = frozenset(names) - SAYS_NOTHING
    if not said or said & UNREAD:
        return UNKNOWN, math.nan
    return VOCABULARY.labels(said), 0.0 if said == {NORMAL} else 1.0


def _films(folder: Path, table: Path) -> Iterator[_Film]:
    needed = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection")
    gathered = folder / "images"
    together = gathered.is_dir()
    for line, row in table_rows(table, needed, ("Labels", POLARITY)):
        if row["Projection"] not in FRONTAL and row["Projection"] != LATERAL:
            continue
        home = gathered if together else folder / str(row["ImageDir"])
        file = FilmFile(home / row["ImageID"], (row[POLARITY] or "").strip() == NEGATIVE)
        yield _Film(row["ImageID"], file, row["PatientID"], row["StudyID"], row["Projection"], row, line)


def _names(film: _Film, table: Path) -> frozenset[str]:
    text = (film.row["Labels"] or "").strip()
    if text in ("", "nan"):
        return frozenset()
    try:
        names = ast.literal_eval(text)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(text)
    except (ValueError, SyntaxError):
        raise DatasetError(
            f"{table}: line {film.line} has the labels {text[:60]!r}, which are no list of names; "
            "restore the set's own table."
        ) from None
    return frozenset(" ".join(name.lower().split()) for name in names)


def _attributes(film: _Film) -> dict[str, str]:
    known = {"view": FRONTAL[film.projection]}
    sex = (film.row.get("PatientSex_DICOM") or "").strip()
    if sex in ("M", "F"):
        known["sex"] = sex
    birth, date = film.row.get("PatientBirth") or "", film.row.get("StudyDate_DICOM") or ""
    if birth[:4].isdigit() and date[:4].isdigit():
        known["age"] = str(int(date[:4]) - int(birth[:4]))
    return known
