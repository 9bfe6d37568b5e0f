"""Small copies of the official layouts of the big labelled sets; films are pictures of our own."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from suite.datasets.chexpert_labels import COLUMNS
from tests.made_datasets import write_rows
from tests.made_films import chest_pixels, write_png

ROWS, COLUMNS_PX = 48, 40
LABELS = ("No Finding", *COLUMNS.values())


def film(path: Path, seed: int = 0) -> Path:
    """A film by its file's ending: JPEG, or an 8-bit PNG."""
    pixels = np.rint(chest_pixels(ROWS, COLUMNS_PX, seed) * 255).astype(np.uint8)
    if path.suffix == ".png":
        return write_png(path, pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return path


def label_row(labels: Mapping[str, str]) -> list[str]:
    """The 14 columns of the labeller; empty where nothing is said."""
    return [labels.get(column, "") for column in LABELS]


CHEXPERT: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("train", "patient00001/study1/view1_frontal.jpg", {"Edema": "1.0", "Fracture": "-1.0"}),
    ("train", "patient00001/study1/view2_lateral.jpg", {"Edema": "1.0", "Fracture": "-1.0"}),
    ("train", "patient00001/study2/view1_frontal.jpg", {"No Finding": "1.0", "Support Devices": "1.0"}),
    ("train", "patient00002/study1/view1_lateral.jpg", {"Pneumonia": "-1.0"}),
    ("train", "patient00003/study1/view1_frontal.jpg", {"Pneumonia": "-1.0"}),
    ("train", "patient00003/study1/view2_frontal.jpg", {"Pneumonia": "-1.0"}),
    ("valid", "patient64541/study1/view1_frontal.jpg", {"Cardiomegaly": "1.0", "No Finding": "0.0"}),
)


def chexpert(folder: Path, *, small: str = "CheXpert-v1.0-small") -> Path:
    """Two tables; studies with a lateral, with two frontals, and with a lateral alone."""
    tables: dict[str, list[Sequence[str]]] = {"train": [], "valid": []}
    for seed, (table, place, labels) in enumerate(CHEXPERT):
        film(folder / table / place, seed)
        lateral = "lateral" in place
        view = ["Lateral", ""] if lateral else ["Frontal", "AP"]
        tables[table].append([f"{small}/{table}/{place}", "Female", "68", *view, *label_row(labels)])
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS]
    for table, rows in tables.items():
        write_rows(folder / f"{table}.csv", columns, rows)
    return folder


MIMIC: tuple[tuple[str, str, str, str, str], ...] = (
    ("10000032", "50414267", "aaa-1", "PA", "train"),
    ("10000032", "50414267", "aaa-2", "LATERAL", "train"),
    ("10000032", "53189527", "bbb-1", "AP", "train"),
    ("10000032", "53189527", "bbb-2", "", "train"),
    ("11000001", "56000000", "ccc-1", "PA", "validate"),
    ("12000002", "57000000", "ddd-1", "AP", "test"),
    ("12000002", "57000000", "ddd-2", "LL", "test"),
)
MIMIC_LABELS: dict[str, Mapping[str, str]] = {
    "50414267": {"No Finding": "1.0"},
    "53189527": {"Pneumothorax": "1.0", "Pleural Effusion": "-1.0", "Fracture": "0.0"},
    "56000000": {"Support Devices": "1.0"},
}


def mimic_cxr(folder: Path, *, gzipped: bool = False) -> Path:
    """Three tables; one study without labels, one film of an unnamed view."""
    for seed, (subject, study, dicom, _, _) in enumerate(MIMIC):
        film(folder / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{dicom}.jpg", seed)
    tables = {
        "metadata": (
            ["dicom_id", "subject_id", "study_id", "ViewPosition", "Rows"],
            [[dicom, subject, study, view, "48"] for subject, study, dicom, view, _ in MIMIC],
        ),
        "split": (
            ["dicom_id", "study_id", "subject_id", "split"],
            [[dicom, study, subject, part] for subject, study, dicom, _, part in MIMIC],
        ),
        "chexpert": (
            ["subject_id", "study_id", *LABELS],
            [["1", study, *label_row(labels)] for study, labels in MIMIC_LABELS.items()],
        ),
    }
    for kind, (columns, rows) in tables.items():
        table = write_rows(folder / f"mimic-cxr-2.0.0-{kind}.csv", columns, rows)
        if gzipped:
            table.with_name(f"{table.name}.gz").write_bytes(gzip.compress(table.read_bytes()))
            table.unlink()
    return folder


NIH: tuple[tuple[str, str, str, str], ...] = (
    ("00000001_000.png", "Cardiomegaly", "058Y", "train_val_list.txt"),
    ("00000001_001.png", "No Finding", "058Y", "train_val_list.txt"),
    ("00000002_000.png", "Mass|Effusion", "061Y", "train_val_list.txt"),
    ("00000003_000.png", "Infiltration", "007Y", "test_list.txt"),
)


def nih_official(folder: Path) -> Path:
    """The official tables, lists and boxes; films in two numbered folders."""
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    rows = []
    for seed, (image, findings, age, part) in enumerate(NIH):
        film(folder / f"images_{1 + seed // 3:03}" / "images" / image, seed)
        lists[part].append(image)
        rows.append(
            [image, findings, "0", image[:8].lstrip("0"), age, "M", "PA", "2682", "2749", "0.143", "0.143"]
        )
    for name, images in lists.items():
        (folder / name).write_text("\n".join(images))
    columns = [
        "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender",
        "View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]",
    ]  # fmt: skip
    write_rows(folder / "Data_Entry_2017.csv", columns, rows)
    (folder / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Cardiomegaly,256.0,512.0,512.0,256.0,,,\n"
        "00000003_000.png,Infiltrate,0,0,102.4,204.8,,,\n"
    )
    return folder


REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{number}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="FINDINGS">As coded.</AbstractText></Abstract></Article></MedlineCitation>
<MeSH>{terms}<automatic>heart</automatic></MeSH>{images}</eCitation>
"""
OPENI: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("normal",), 2, "Xray Chest PA and Lateral"),
    (("Cardiomegaly/mild", "Pulmonary Congestion", "Thickening/pleura/apex"), 1, "Xray Chest PA"),
    (("Opacity/lung/base/left", "Volume Loss/lung"), 2, "Xray Chest PA and Lateral"),
    (("No Indexing",), 2, "Xray Chest PA and Lateral"),
    (("Fractures, Bone/ribs",), 1, "Xray Chest Lateral"),
)


def openi(folder: Path) -> Path:
    """Reports with MeSH terms; one with a lateral film alone."""
    (folder / "ecgen-radiology").mkdir(parents=True)
    for number, (terms, count, caption) in enumerate(OPENI, start=1):
        names = [f"CXR{number}_1_IM-{number:04}-{1 + index}001" for index in range(count)]
        for seed, name in enumerate(names):
            film(folder / "NLMCXR_png" / f"{name}.png", seed)
        images = "".join(
            f'<parentImage id="{name}"><caption>{caption}</caption></parentImage>' for name in names
        )
        majors = "".join(f"<major>{term}</major>" for term in terms)
        text = REPORT.format(number=number, terms=majors, images=images)
        (folder / "ecgen-radiology" / f"{number}.xml").write_text(text)
    return folder


PADCHEST: tuple[tuple[str, str, str, str, str], ...] = (
    ("p1_s1_a.png", "s1", "p1", "PA", "['pleural effusion', ' cardiomegaly']"),
    ("p1_s1_b.png", "s1", "p1", "L", "['pleural effusion', ' cardiomegaly']"),
    ("p2_s2_a.png", "s2", "p2", "AP_horizontal", "['normal']"),
    ("p3_s3_a.png", "s3", "p3", "AP", "['volume loss', 'scoliosis', 'unchanged']"),
    ("p4_s4_a.png", "s4", "p4", "PA", "['unchanged']"),
    ("p5_s5_a.png", "s5", "p5", "COSTAL", "['rib fracture']"),
)


def padchest(folder: Path, negatives: Collection[str] = ()) -> Path:
    """One table, films in numbered folders; a rib view that is left out.

    ``negatives`` names the images that are stored as the detector gave them, white for black.
    """
    rows = []
    for seed, (image, study, patient, projection, labels) in enumerate(PADCHEST):
        stored = np.rint(chest_pixels(ROWS, COLUMNS_PX, seed) * 65535).astype(np.uint16)
        write_png(folder / str(seed % 2) / image, 65535 - stored if image in negatives else stored)
        photometric = "MONOCHROME1" if image in negatives else "MONOCHROME2"
        person = [study, patient, "1950.0", "M"]
        rows.append([image, str(seed % 2), "20140915", *person, photometric, projection, labels])
    columns = [
        "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
        "PhotometricInterpretation_DICOM", "Projection", "Labels",
    ]  # fmt: skip
    write_rows(folder / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", columns, rows)
    return folder


def site(folder: Path, rows: Sequence[Sequence[str]] | None = None) -> Path:
    """A site's own table: one film a line, labels of two findings and of abnormality."""
    chosen = rows or [
        ["a.png", "p1", "1", "1", ""],
        ["sub/b.png", "p2", "0", "0", "0"],
        ["c.png", "p2", "", "", "1"],
    ]
    for seed, row in enumerate(chosen):
        film(folder / row[0], seed)
    write_rows(folder / "films.csv", ["file", "patient_id", "abnormal", "edema", "fracture"], chosen)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "chexpert": chexpert,
    "mimic-cxr": mimic_cxr,
    "nih": nih_official,
    "openi": openi,
    "padchest": padchest,
    "site": site,
}
