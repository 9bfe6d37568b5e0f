"""Data sets: each layout in small, every way it can be wrong, and splits that no patient crosses."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.datasets.chestxray14 import NAMES, labels_from
from suite.datasets.manifest import UNKNOWN, Manifest, Record, Split
from suite.datasets.registry import KINDS, open_dataset, parse_sources
from suite.errors import DatasetError
from suite.findings import CODES
from tests import made_datasets
from tests.finding_labels import refusal
from tests.made_datasets import MAKERS, TABLES

NAN = math.nan
NEVER_LABELLED = {"enlarged_cardiomediastinum", "fracture", "support_devices"}
"""What ChestX-ray14 does not know; Wang 2017 lists its fourteen findings."""

NEEDED = {
    "jsrt": {"id", "bits", "has_bone", "group"},
    "nih": {"image", "patient_id", "view", "findings"},
    "covid-lungs": {"image", "patient_id", "view"},
    "frontal-lateral": {"frontal", "lateral", "patient_id"},
}
"""Columns without which a set cannot be read."""

PLAIN = {
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "pleural_effusion",
    "Pneumothorax": "pneumothorax",
    "Pleural_Thickening": "pleural_other",
}
OPACITIES = {
    "Mass": "lung_lesion",
    "Nodule": "lung_lesion",
    "Edema": "edema",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Atelectasis": "atelectasis",
}

TESTED_ELSEWHERE = {
    "dual-energy", "phantom", "scr", "montgomery", "shenzhen", "siim", "painted-masks",
    "chexpert", "mimic-cxr", "openi", "padchest", "site", "inserted-pneumothorax",
}  # fmt: skip
"""Sets without a table, the computed one, and those of ``tests.made_finding_sets``."""


def positives(findings: str) -> set[str]:
    return {code for code, value in zip(CODES, labels_from(findings), strict=True) if value == 1.0}


@pytest.mark.parametrize("name", MAKERS)
def test_a_small_copy_is_read_and_its_files_exist(name: str, tmp_path: Path) -> None:
    manifest = open_dataset(name, MAKERS[name](tmp_path))
    assert manifest.name == name
    assert len(manifest) == len(list(manifest)) >= 2
    assert len({record.patient_id for record in manifest}) == len(manifest)
    for record in manifest:
        films = [record.frontal.path, *([record.lateral.path] if record.lateral else [])]
        files = [*films, *record.targets.values()]
        assert [path for path in files if not path.is_file()] == []


def test_every_known_set_has_a_small_copy_here() -> None:
    assert {kind.name for kind in KINDS} - TESTED_ELSEWHERE == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_table_is_named_with_the_layout(name: str, tmp_path: Path) -> None:
    folder = MAKERS[name](tmp_path)
    (folder / TABLES[name]).unlink()
    message = refusal(name, folder)
    layout = next(kind.layout for kind in KINDS if kind.name == name)
    assert f"{TABLES[name]} is missing" in message
    assert layout in message


@pytest.mark.parametrize("name", MAKERS)
def test_each_missing_column_that_is_needed_is_named(name: str, tmp_path: Path) -> None:
    table = MAKERS[name](tmp_path) / TABLES[name]
    rows = list(csv.reader(table.read_text().splitlines()))
    messages = []
    for index, column in enumerate(rows[0]):
        shorter = [row[:index] + row[index + 1 :] for row in rows]
        made_datasets.write_rows(table, shorter[0], shorter[1:])
        if column in NEEDED[name]:
            messages.append(refusal(name, tmp_path))
            assert f"column {column} is missing" in messages[-1]
        else:
            open_dataset(name, tmp_path)
    assert len(messages) == len(NEEDED[name])


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_that_breaks_off_is_named_by_its_line(name: str, tmp_path: Path) -> None:
    table = MAKERS[name](tmp_path) / TABLES[name]
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], lines[2].split(",")[0]]) + "\n")
    assert "line 3 has no" in refusal(name, tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_an_empty_table_is_refused(name: str, tmp_path: Path) -> None:
    table = MAKERS[name](tmp_path) / TABLES[name]
    table.write_text(table.read_text().splitlines()[0] + "\n")
    assert f"data set {name} is empty" in refusal(name, tmp_path)
    table.write_text("")
    assert f"{TABLES[name]}: is empty; fetch or write it again, with columns" in refusal(name, tmp_path)


def test_a_table_in_another_encoding_is_refused_and_a_byte_order_mark_read(tmp_path: Path) -> None:
    table = made_datasets.nih(tmp_path) / "labels.csv"
    content = table.read_bytes()
    table.write_bytes(b"\xef\xbb\xbf" + content)
    assert len(open_dataset("nih", tmp_path)) == 3
    table.write_bytes(content.replace(b"Edema", b"\xd6dema"))
    assert "is no readable table" in refusal("nih", tmp_path)


def test_one_film_twice_is_refused(tmp_path: Path) -> None:
    table = made_datasets.nih(tmp_path) / "labels.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    assert "two records '00000000_000'" in refusal("nih", tmp_path)


def test_an_unknown_set_or_folder_lists_what_is_known(tmp_path: Path) -> None:
    assert "data set 'jrst' is not known; use one of jsrt, nih, chexpert" in refusal("jrst", tmp_path)
    assert "no such folder; give the folder that holds index.csv" in refusal("jsrt", tmp_path / "none")


@pytest.mark.parametrize(("name", "code"), PLAIN.items())
def test_a_finding_outside_the_lungs_tissue_is_itself_alone(name: str, code: str) -> None:
    assert positives(name) == {code}


@pytest.mark.parametrize(("name", "code"), OPACITIES.items())
def test_an_opacity_is_itself_and_a_lung_opacity(name: str, code: str) -> None:
    assert positives(name) == {code, "lung_opacity"}


def test_the_names_without_a_code_of_their_own() -> None:
    assert positives("Infiltration") == {"lung_opacity"}
    for name in ("Emphysema", "Fibrosis", "Hernia", "No Finding"):
        assert positives(name) == set()


def test_the_table_of_names_is_complete() -> None:
    known = {*PLAIN, *OPACITIES, "Infiltration", "Emphysema", "Fibrosis", "Hernia", "No Finding"}
    assert known == NAMES
    assert len(NAMES) == 15


@pytest.mark.parametrize("findings", ["No Finding", "Mass", "Effusion|Edema"])
def test_what_the_set_never_labels_is_unknown_and_the_rest_is_known(findings: str) -> None:
    unknown = {code for code, value in zip(CODES, labels_from(findings), strict=True) if math.isnan(value)}
    assert unknown == NEVER_LABELLED


@pytest.mark.parametrize(
    "findings", ["mass", "Mas", "Mass|Lump", "Pleural Thickening", "", "Mass,Edema", "|"]
)
def test_a_name_is_a_member_of_the_set_or_refused(findings: str) -> None:
    with pytest.raises(DatasetError, match=r"are not ChestX-ray14 names; use Atelectasis, .*\.$"):
        labels_from(findings)


def test_no_finding_beside_a_finding_is_refused() -> None:
    with pytest.raises(DatasetError, match="name 'No Finding' beside others"):
        labels_from("No Finding|Mass")


def test_normal_and_abnormal_films_of_nih(tmp_path: Path) -> None:
    manifest = open_dataset(
        "nih", made_datasets.nih(tmp_path, ("No Finding", "Hernia", " No Finding ", "Mass"))
    )
    assert [record.abnormal for record in manifest] == [0.0, 1.0, 0.0, 1.0]
    assert [record.patient_id for record in manifest] == ["nih-0", "nih-1", "nih-2", "nih-3"]


def test_an_unknown_finding_stops_the_reading_of_the_set(tmp_path: Path) -> None:
    assert "['Lump'] are not ChestX-ray14 names" in refusal(
        "nih", made_datasets.nih(tmp_path, ("Mass", "Lump"))
    )


def test_jsrt_knows_nodules_and_nothing_else(tmp_path: Path) -> None:
    first, second, third = open_dataset("jsrt", made_datasets.jsrt(tmp_path))
    assert (first.abnormal, second.abnormal) == (1.0, 0.0)
    for record, nodule in ((first, 1.0), (second, 0.0)):
        known = {
            code: value for code, value in zip(CODES, record.labels, strict=True) if not math.isnan(value)
        }
        assert known == {"lung_lesion": nodule}
    assert set(first.targets) == set(third.targets) == {"organs", "bone"}
    assert set(second.targets) == {"organs"}


def test_jsrt_refuses_an_unknown_group(tmp_path: Path) -> None:
    table = made_datasets.jsrt(tmp_path) / "index.csv"
    table.write_text(table.read_text().replace(",no nodule", ",normal"))
    assert "film JPCLN001 is of group 'normal'; use nodule, no nodule" in refusal("jsrt", tmp_path)


def test_sets_of_masks_and_pairs_know_no_finding(tmp_path: Path) -> None:
    for name in ("covid-lungs", "frontal-lateral"):
        for record in open_dataset(name, MAKERS[name](tmp_path / name)):
            assert all(math.isnan(value) for value in record.labels)
    assert all(record.lateral for record in open_dataset("frontal-lateral", tmp_path / "frontal-lateral"))


def test_only_records_with_a_target(tmp_path: Path) -> None:
    manifest = open_dataset("jsrt", made_datasets.jsrt(tmp_path))
    assert [record.id for record in manifest.with_target("bone")] == ["JPCLN000", "JPCLN002"]
    with pytest.raises(DatasetError, match="data set jsrt is empty"):
        manifest.with_target("gold")


@pytest.mark.parametrize("labels", [(0.5, *UNKNOWN[1:]), (2.0, *UNKNOWN[1:]), (math.inf, *UNKNOWN[1:])])
def test_a_label_is_one_zero_or_unknown(labels: tuple[float, ...]) -> None:
    with pytest.raises(DatasetError, match="use 1, 0 or NaN"):
        Record("a", "p", Path("a.png"), labels=labels)


def test_a_record_has_thirteen_labels() -> None:
    with pytest.raises(DatasetError, match="has 12 labels; give one for each of 13 findings"):
        Record("a", "p", Path("a.png"), labels=UNKNOWN[:12])


def test_sources_are_named_once() -> None:
    assert parse_sources(["jsrt=/films/a", "nih=b=c"]) == {"jsrt": Path("/films/a"), "nih": Path("b=c")}
    for options, words in (
        (["jsrt"], "'jsrt' is not of the form NAME=DIR"),
        (["=x"], "not of the form"),
        (["jsrt="], "not of the form"),
        (["jsrt=a", "jsrt=b"], "--data jsrt is given twice"),
    ):
        with pytest.raises(DatasetError, match=words):
            parse_sources(options)


# splits


def cohort(patients: int, films: int = 2, name: str = "set") -> Manifest:
    records = tuple(
        Record(f"{patient}-{film}", f"p{patient}", Path("x.png"))
        for patient in range(patients)
        for film in range(films)
    )
    return Manifest(name, records)


def places(split: Split) -> dict[str, str]:
    return {record.id: name for name, records in split.parts.items() for record in records}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 1000))
def test_no_patient_is_in_two_parts_and_no_record_is_lost(patients: int, films: int, seed: int) -> None:
    manifest = cohort(patients, films)
    split = manifest.split(seed)
    owners = [{record.patient_id for record in records} for records in split.parts.values()]
    assert sum(map(len, owners)) == len(set().union(*owners)) == patients
    assert len(places(split)) == len(manifest)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_patients_place_does_not_depend_on_the_other_records(seed: int) -> None:
    few, many = places(cohort(20).split(seed)), places(cohort(50, films=3).split(seed))
    assert {name: many[name] for name in few} == few


def test_the_order_of_the_table_does_not_matter() -> None:
    manifest = cohort(30)
    backwards = Manifest(manifest.name, manifest.records[::-1])
    assert places(manifest.split(4)) == places(backwards.split(4))


def test_the_shares_are_the_fractions_asked_for() -> None:
    """With 4000 patients a share's standard deviation is below 0.8 %."""
    for fractions in ((0.7, 0.1, 0.2), (0.5, 0.25, 0.25), (1.0, 0.0, 0.0)):
        split = cohort(4000, films=1).split(1, fractions)
        parts = [len(split[name]) / 4000 for name in ("train", "validation", "test")]
        assert parts == pytest.approx(fractions, abs=0.03)


def test_seed_and_name_of_the_set_change_the_split() -> None:
    assert places(cohort(40).split(0)) != places(cohort(40).split(1))
    assert places(cohort(40).split(0)) != places(cohort(40, name="other").split(0))


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (0.9, 0.2, -0.1), (1.0, 1.0, 1.0)])
def test_fractions_add_up_to_one(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DatasetError, match="do not add up to 1"):
        cohort(3).split(0, fractions)


def test_a_split_refuses_a_patient_in_two_parts() -> None:
    one, two = Record("a", "p1", Path("a.png")), Record("b", "p1", Path("b.png"))
    with pytest.raises(
        DatasetError, match="patient p1 is in both the train and the test part; split by patient"
    ):
        Split({"train": (one,), "test": (two,)})


def test_a_part_that_is_not_there_is_empty() -> None:
    assert Split({"train": (Record("a", "p", Path("a.png")),)})["test"] == ()
