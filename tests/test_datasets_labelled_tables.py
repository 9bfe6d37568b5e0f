"""Sets whose labels are columns of a table: CheXpert, MIMIC-CXR, ChestX-ray14."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from suite.datasets.finding_places import known_places, place_of
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.findings import CODES
from tests import made_finding_sets
from tests.finding_labels import change, positives, refusal, unknown

NAN = math.nan


def test_chexpert_pairs_views_and_keeps_the_official_split(tmp_path: Path) -> None:
    manifest = open_dataset("chexpert", made_finding_sets.chexpert(tmp_path))
    assert [(record.id, record.part) for record in manifest] == [
        ("patient00001-study1-view1_frontal", "train"),
        ("patient00001-study2-view1_frontal", "train"),
        ("patient00003-study1-view1_frontal", "train"),
        ("patient00003-study1-view2_frontal", "train"),
        ("patient64541-study1-view1_frontal", "validation"),
    ]
    first = manifest.records[0]
    assert first.lateral is not None
    assert first.lateral.path.name == "view2_lateral.jpg"
    assert [record.lateral for record in manifest.records[1:]] == [None] * 4
    assert first.attributes == {"view": "AP", "sex": "F", "age": "68"}
    assert [record.id for record in manifest.split()["validation"]] == ["patient64541-study1-view1_frontal"]


def test_minus_one_is_unknown_and_flagged_and_empty_is_absent(tmp_path: Path) -> None:
    records = open_dataset("chexpert", made_finding_sets.chexpert(tmp_path)).records
    assert positives(records[0]) == {"edema"}
    assert unknown(records[0]) == {"fracture"}
    assert [code for code, flag in zip(CODES, records[0].uncertain, strict=True) if flag] == ["fracture"]
    assert not any(records[1].uncertain)


def test_what_counts_as_abnormal(tmp_path: Path) -> None:
    """A pathology; "No Finding" 0; neither an uncertain finding nor a device in a normal chest."""
    records = open_dataset("chexpert", made_finding_sets.chexpert(tmp_path)).records
    values = [record.abnormal for record in records]
    assert values[:2] == [1.0, 0.0]
    assert math.isnan(values[2])
    assert values[4] == 1.0


def test_the_folder_may_have_any_name_and_the_later_test_part_is_read(tmp_path: Path) -> None:
    folder = made_finding_sets.chexpert(tmp_path / "films", small="CheXpert-v1.0")
    shutil.copytree(folder / "valid", folder / "test")
    text = (folder / "valid.csv").read_text()
    (folder / "test_labels.csv").write_text(
        text.replace("CheXpert-v1.0/valid", "test").replace("patient64541", "patient70000")
    )
    (folder / "test" / "patient64541").rename(folder / "test" / "patient70000")
    split = open_dataset("chexpert", folder).split()
    assert [record.patient_id for record in split["test"]] == ["chexpert-patient70000"]
    assert len(split["train"]) == 4


@pytest.mark.parametrize("value", ["2.0", "present", "0.5", "nan"])
def test_an_unknown_label_is_named_with_its_place(value: str, tmp_path: Path) -> None:
    folder = made_finding_sets.chexpert(tmp_path)
    change(folder / "train.csv", ",1.0,", f",{value},")
    message = refusal("chexpert", folder)
    assert f"line 2 has {value!r} for Edema" in message
    assert "1, 0, -1 (uncertain) or empty" in message


def test_a_path_of_another_form_is_refused(tmp_path: Path) -> None:
    folder = made_finding_sets.chexpert(tmp_path)
    change(folder / "train.csv", "view1_frontal.jpg", "view1.jpg")
    assert "line 2 has the path" in refusal("chexpert", folder)


@pytest.mark.parametrize("column", ["Path", "Support Devices"])
def test_a_missing_column_is_named(column: str, tmp_path: Path) -> None:
    table = made_finding_sets.chexpert(tmp_path) / "train.csv"
    change(table, column, "Other")
    assert f"column {column} is missing" in refusal("chexpert", tmp_path)


def test_an_official_split_that_shares_a_patient_is_refused(tmp_path: Path) -> None:
    folder = made_finding_sets.chexpert(tmp_path)
    (folder / "valid" / "patient64541").rename(folder / "valid" / "patient00001")
    change(folder / "valid.csv", "patient64541", "patient00001")
    table = folder / "valid.csv"
    table.write_text(table.read_text().replace("study1", "study9"))
    (folder / "valid" / "patient00001" / "study1").rename(folder / "valid" / "patient00001" / "study9")
    with pytest.raises(DatasetError, match="patient chexpert-patient00001 is in both the"):
        open_dataset("chexpert", folder).split()


@pytest.mark.parametrize("gzipped", [False, True])
def test_mimic_joins_its_three_tables(gzipped: bool, tmp_path: Path) -> None:
    manifest = open_dataset("mimic-cxr", made_finding_sets.mimic_cxr(tmp_path, gzipped=gzipped))
    rows = {record.id: record for record in manifest}
    assert {key: record.part for key, record in rows.items()} == {
        "aaa-1": "train", "bbb-1": "train", "ccc-1": "validation", "ddd-1": "test",
    }  # fmt: skip
    laterals = {key: record.lateral.path.stem if record.lateral else None for key, record in rows.items()}
    assert laterals == {"aaa-1": "aaa-2", "bbb-1": None, "ccc-1": None, "ddd-1": "ddd-2"}
    assert rows["aaa-1"].abnormal == 0.0
    assert positives(rows["aaa-1"]) == set()
    assert positives(rows["bbb-1"]) == {"pneumothorax"}
    assert unknown(rows["bbb-1"]) == {"pleural_effusion"}
    assert rows["bbb-1"].uncertain[CODES.index("pleural_effusion")]
    assert math.isnan(rows["ccc-1"].abnormal)
    assert unknown(rows["ddd-1"]) == set(CODES)  # no row of the labeller
    assert {record.attributes["view"] for record in manifest} == {"PA", "AP"}
    assert rows["aaa-1"].patient_id == rows["bbb-1"].patient_id


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("split", "validate", "holdout", "has the split 'holdout'"),
        ("split", "aaa-1,", "zzz-1,", "film aaa-1 of mimic-cxr-2.0.0-metadata.csv has no row"),
        ("chexpert", "-1.0", "-2", "has '-2' for Pleural Effusion"),
        ("metadata", "ViewPosition", "View", "column ViewPosition is missing"),
    ],
)
def test_damaged_tables_of_mimic(kind: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = made_finding_sets.mimic_cxr(tmp_path)
    change(folder / f"mimic-cxr-2.0.0-{kind}.csv", old, new)
    assert message in refusal("mimic-cxr", folder)


def test_a_gzip_that_breaks_off_is_refused(tmp_path: Path) -> None:
    folder = made_finding_sets.mimic_cxr(tmp_path, gzipped=True)
    table = folder / "mimic-cxr-2.0.0-split.csv.gz"
    table.write_bytes(table.read_bytes()[:-12])
    assert "is no readable table" in refusal("mimic-cxr", folder)


def test_chestxray14_in_its_official_layout(tmp_path: Path) -> None:
    manifest = open_dataset("nih", made_finding_sets.nih_official(tmp_path))
    assert [record.part for record in manifest] == ["train", "train", "train", "test"]
    assert [record.attributes["age"] for record in manifest] == ["58", "58", "61", "7"]
    assert positives(manifest.records[2]) == {"lung_lesion", "lung_opacity", "pleural_effusion"}
    assert [record.abnormal for record in manifest] == [1.0, 0.0, 1.0, 1.0]
    split = manifest.split(fractions=(0.65, 0.15, 0.2))
    assert [record.id for record in split["test"]] == ["00000003_000"]


def test_ages_of_chestxray14s_first_release_may_be_months_or_days(tmp_path: Path) -> None:
    folder = made_finding_sets.nih_official(tmp_path)
    change(folder / "Data_Entry_2017.csv", "061Y", "011M")
    change(folder / "Data_Entry_2017.csv", "007Y", "001D")
    ages = [record.attributes["age"] for record in open_dataset("nih", folder)]
    assert ages == ["58", "58", "0", "0"]


def test_boxes_of_chestxray14_lie_where_they_were_drawn(tmp_path: Path) -> None:
    """256, 512, 512 x 256 of 1024: the film's middle half across, its third quarter down."""
    records = open_dataset("nih", made_finding_sets.nih_official(tmp_path)).records
    assert known_places(records[0]) == ("cardiomegaly",)
    mask = place_of(records[0], "cardiomegaly", (64, 64))
    assert mask.sum() == 32 * 16
    assert mask[32:48, 16:48].all()
    assert known_places(records[3]) == ("lung_opacity",)  # the box table's "Infiltrate"
    assert known_places(records[1]) == ()


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "Data_Entry_2017.csv",
            "Mass|Effusion",
            "Lump",
            "line 4: findings ['Lump'] are not ChestX-ray14 names",
        ),
        ("Data_Entry_2017.csv", "Finding Labels", "Findings", "column Finding Labels is missing"),
        ("test_list.txt", "00000003_000.png", "", "which is in neither train_val_list.txt nor test_list.txt"),
        ("test_list.txt", "00000003_000.png", "00000001_000.png", "is in the other list too"),
        ("BBox_List_2017.csv", "256.0,512.0", "256.0,", "line 2 has no image, finding and four numbers"),
        ("BBox_List_2017.csv", "Infiltrate", "Shadow", "names the finding 'Shadow'"),
        ("BBox_List_2017.csv", "102.4", "-3", "line 3 has no image, finding and four numbers"),
    ],
)
def test_damaged_tables_of_chestxray14(table: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = made_finding_sets.nih_official(tmp_path)
    change(folder / table, old, new)
    assert message in refusal("nih", folder)


def test_lists_of_chestxray14_may_begin_with_a_byte_order_mark_and_name_films_of_no_row(
    tmp_path: Path,
) -> None:
    folder = made_finding_sets.nih_official(tmp_path)
    for name in ("train_val_list.txt", "test_list.txt"):
        own = (folder / name).read_text()
        (folder / name).write_text(f"{own}\r\n{name[:2]}999999_000.png\r\n", encoding="utf-8-sig")
    assert [record.part for record in open_dataset("nih", folder)] == ["train", "train", "train", "test"]


def test_a_missing_list_or_no_boxes(tmp_path: Path) -> None:
    folder = made_finding_sets.nih_official(tmp_path)
    (folder / "BBox_List_2017.csv").unlink()
    assert len(open_dataset("nih", folder)) == 4
    (folder / "test_list.txt").unlink()
    assert "test_list.txt is missing" in refusal("nih", folder)


def test_films_of_chestxray14_may_all_lie_in_one_folder(tmp_path: Path) -> None:
    folder = made_finding_sets.nih_official(tmp_path)
    (folder / "images").mkdir()
    for film in list(folder.glob("images_*/images/*.png")):
        film.rename(folder / "images" / film.name)
    assert len(open_dataset("nih", folder)) == 4
