"""NIH ChestX-ray14 (Wang 2017): frontal films with 14 findings mined from reports by language processing.

Official layout, as NIH hands it out::

    Data_Entry_2017_v2020.csv    Image Index, Finding Labels, Follow-up #, Patient ID, Patient Age, ...
    train_val_list.txt, test_list.txt    the official split, by patient
    BBox_List_2017.csv           optional: 984 boxes that a radiologist drew, in pixels of 1024 x 1024
    images_001/images/IMAGE ...  1024 x 1024, 8 bit, bone bright; one folder ``images`` will do

``Data_Entry_2017.csv`` is read too. Small layout, for subsets::

    labels.csv        image, patient_id, age, sex, view (PA | AP), findings ('|'-separated), follow_up
    images/IMAGE      8 bit, bone bright

The 14 names map to the suite's 13 codes by exact membership. What the set never labels (fracture, support
devices, enlarged cardiomediastinum) is NaN: unknown, not absent. ``lung_opacity`` is the union CheXpert's
hierarchy gives it.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from suite.datasets.layout import read_table, require_file, require_films, table_rows
from suite.datasets.manifest import Box, FilmFile, Manifest, Record, SplitName
from suite.errors import DatasetError
from suite.findings import CODES
from suite.patient_age import age_in_years

LICENCE = "open, attribution (Wang et al. 2017)"
CITATION = "Wang et al. 2017, ChestX-ray8: hospital-scale chest x-ray database and benchmarks (CVPR)"
LAYOUT = (
    "Data_Entry_2017_v2020.csv, train_val_list.txt, test_list.txt, BBox_List_2017.csv (optional), "
    "images_001/images/IMAGE; or labels.csv, images/IMAGE"
)
ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
LISTS: dict[str, SplitName] = {"train_val_list.txt": "train", "test_list.txt": "test"}
BOXES = "BBox_List_2017.csv"
BOX_SIDE = 1024
"""Pixels of the matrix the boxes were drawn on."""

BOX_NAMES = {"Infiltrate": "Infiltration"}
"""What the table of boxes calls otherwise."""

SYNONYMS: dict[str, frozenset[str]] = {
    "cardiomegaly": frozenset({"Cardiomegaly"}),
    "lung_lesion": frozenset({"Mass", "Nodule"}),
    "edema": frozenset({"Edema"}),
    "consolidation": frozenset({"Consolidation"}),
    "pneumonia": frozenset({"Pneumonia"}),
    "atelectasis": frozenset({"Atelectasis"}),
    "pneumothorax": frozenset({"Pneumothorax"}),
    "pleural_effusion": frozenset({"Effusion"}),
    "pleural_other": frozenset({"Pleural_Thickening"}),
    "lung_opacity": frozenset(
        {"Infiltration", "Consolidation", "Pneumonia", "Edema", "Atelectasis", "Mass", "Nodule"}
    ),
}
NORMAL = "No Finding"
NAMES = frozenset().union(*SYNONYMS.values()) | {"Emphysema", "Fibrosis", "Hernia", NORMAL}


def names_in(findings: str) -> frozenset[str]:
    """The set's own names in a '|'-separated list.

    Raises:
        DatasetError: a name is not one of the set's fifteen, or "No Finding" stands beside a finding.
    """
    names = frozenset(name.strip() for name in findings.split("|"))
    unknown = sorted(names - NAMES)
    if unknown:
        raise DatasetError(f"findings {unknown} are not ChestX-ray14 names; use {', '.join(sorted(NAMES))}.")
    if NORMAL in names and len(names) > 1:
        raise DatasetError(f"findings {findings!r} name {NORMAL!r} beside others; give one or the other.")
    return names


def labels_from(findings: str) -> tuple[float, ...]:
    """The 13 labels of a '|'-separated list of the set's own names.

    Raises:
        DatasetError: as for ``names_in``.
    """
    names = names_in(findings)
    return tuple(float(bool(names & SYNONYMS[code])) if code in SYNONYMS else math.nan for code in CODES)


def read(folder: Path) -> Manifest:
    """All films of the folder, in the official layout or the small one.

    Raises:
        DatasetError: the folder does not have the layout, a finding's name is unknown, a film has no place in
            the official split or is not there.
    """
    entries = next((folder / name for name in ENTRIES if (folder / name).is_file()), None)
    if entries is not None:
        return _read_official(folder, entries)
    table = require_file(folder, "labels.csv", "nih", LAYOUT)
    rows = read_table(table, ("image", "patient_id", "view", "findings"))
    records = [_record(folder, row) for row in rows]
    return Manifest("nih", tuple(records))


def _record(folder: Path, row: dict[str, str]) -> Record:
    return Record(
        id=Path(row["image"]).stem,
        patient_id=f"nih-{row['patient_id']}",
        frontal=FilmFile(folder / "images" / row["image"]),
        labels=labels_from(row["findings"]),
        abnormal=0.0 if names_in(row["findings"]) == {NORMAL} else 1.0,
        attributes={key: row[key] for key in ("view", "age", "sex") if row.get(key)},
    )


def _read_official(folder: Path, entries: Path) -> Manifest:
    parts = _official_parts(folder)
    homes = _homes(folder)
    boxes = _boxes(folder / BOXES) if (folder / BOXES).is_file() else {}
    records = []
    for line, row in table_rows(entries, ("Image Index", "Finding Labels", "Patient ID", "View Position")):
        image = row["Image Index"]
        if image not in parts:
            raise DatasetError(
                f"{entries}: line {line} names {image}, which is in neither {' nor '.join(LISTS)}; "
                "complete the lists, or leave the row out."
            )
        try:
            labels = labels_from(row["Finding Labels"])
        except DatasetError as error:
            raise DatasetError(f"{entries}: line {line}: {error}") from None
        records.append(
            Record(
                id=Path(image).stem,
                patient_id=f"nih-{row['Patient ID']}",
                frontal=FilmFile(homes.get(image, folder / "images") / image),
                labels=labels,
                abnormal=0.0 if names_in(row["Finding Labels"]) == {NORMAL} else 1.0,
                attributes=_attributes(row),
                part=parts[image],
                boxes=boxes.get(image, {}),
            )
        )
    require_films((record.frontal.path for record in records), entries)
    return Manifest("nih", tuple(records))


def _official_parts(folder: Path) -> dict[str, SplitName]:
    parts: dict[str, SplitName] = {}
    for name, part in LISTS.items():
        path = require_file(folder, name, "nih", LAYOUT)
        try:
            images = path.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: is no readable list ({error}); fetch it again.") from None
        both = next((image for image in images if parts.get(image, part) != part), None)
        if both is not None:
            raise DatasetError(f"{path}: {both} is in the other list too; fetch both lists again.")
        parts.update(dict.fromkeys(images, part))
    return parts


def _homes(folder: Path) -> dict[str, Path]:
    """The folder of each film: ``images_001/images`` to ``images_012/images``, or one ``images``."""
    homes: dict[str, Path] = {}
    for home in (
        folder / "images",
        *sorted(folder.glob("images_*/images")),
        *sorted(folder.glob("images_*")),
    ):
        if home.is_dir():
            homes.update({path.name: home for path in home.iterdir() if path.suffix == ".png"})
    return homes


def _boxes(table: Path) -> dict[str, dict[str, tuple[Box, ...]]]:
    """Boxes by image and code. The table's header is split by the commas in "Bbox [x,y,w,h]"."""
    found: dict[str, dict[str, tuple[Box, ...]]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: is no readable table ({error}); fetch it again.") from None
    for line, row in enumerate(rows, start=2):
        if not any(row):
            continue
        try:
            image, name = row[0], row[1]
            x, y, width, height = (float(value) / BOX_SIDE for value in row[2:6])
            if not all(math.isfinite(value) for value in (x, y, width, height)) or min(width, height) <= 0:
                raise ValueError
        except (ValueError, IndexError):
            raise DatasetError(
                f"{table}: line {line} has no image, finding and four numbers x, y, w, h; fetch it again."
            ) from None
        for code in _codes_of(BOX_NAMES.get(name, name), table, line):
            own = found.setdefault(image, {})
            own[code] = (*own.get(code, ()), (x, y, x + width, y + height))
    return found


def _codes_of(name: str, table: Path, line: int) -> list[str]:
    """The finding a box shows. A box of a kind of opacity is also one of lung opacity."""
    if name not in NAMES:
        raise DatasetError(f"{table}: line {line} names the finding {name!r}; use ChestX-ray14's names.")
    return [code for code in CODES if name in SYNONYMS.get(code, frozenset())]


def _attributes(row: dict[str, str]) -> dict[str, str]:
    years = age_in_years(row.get("Patient Age") or "")  # the first release has "058Y" and "011M"
    known = {
        "view": row["View Position"],
        "age": "" if years is None else str(int(years)),
        "sex": row.get("Patient Gender") or row.get("Patient Sex") or "",
    }
    return {key: value for key, value in known.items() if value}
