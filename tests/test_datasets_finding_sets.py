"""The big labelled sets in their official layouts: labels, uncertainty, views, official splits, damage."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import pytest

from suite.datasets import openi, padchest
from suite.datasets.finding_places import known_places, place_of
from suite.datasets.manifest import UNKNOWN, Manifest, Record
from suite.datasets.registry import KINDS, open_dataset
from suite.datasets.site import read_site_table
from suite.errors import DatasetError
from suite.findings import CODES
from suite.training.films import load_film
from tests import made_finding_sets
from tests.made_finding_sets import MAKERS

NAN = math.nan


def refusal(name: str, folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(name, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.exit_code == 2
    return message


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def said(record: Record) -> dict[str, float]:
    """The known labels."""
    return {code: value for code, value in zip(CODES, record.labels, strict=True) if not math.isnan(value)}


def positives(record: Record) -> set[str]:
    return {code for code, value in said(record).items() if value == 1.0}


def unknown(record: Record) -> set[str]:
    return set(CODES) - set(said(record))


# every set


@pytest.mark.parametrize("name", MAKERS)
def test_a_small_copy_is_read_and_its_films_are_readable(name: str, tmp_path: Path) -> None:
    manifest = open_dataset(name, MAKERS[name](tmp_path))
    assert manifest.name == name
    assert len(manifest) >= 3
    for record in manifest:
        for film in filter(None, (record.frontal, record.lateral)):
            assert load_film(film).shape == (48, 40)


@pytest.mark.parametrize("name", MAKERS)
def test_listing_reads_no_film(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = MAKERS[name](tmp_path)
    for film in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        film.write_bytes(b"")
    assert len(open_dataset(name, folder)) >= 3


@pytest.mark.parametrize("name", MAKERS)
def test_a_film_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    folder = MAKERS[name](tmp_path)
    film = open_dataset(name, folder).records[0].frontal.path
    film.unlink()
    message = refusal(name, folder)
    assert film.name in message
    assert "not there" in message


@pytest.mark.parametrize("name", MAKERS)
def test_an_empty_folder_is_told_the_layout(name: str, tmp_path: Path) -> None:
    message = refusal(name, tmp_path)
    assert "is missing" in message
    assert next(kind.layout for kind in KINDS if kind.name == name).split(",")[0][:8] in message


@pytest.mark.parametrize("name", MAKERS)
def test_no_patient_is_in_two_parts(name: str, tmp_path: Path) -> None:
    manifest = open_dataset(name, MAKERS[name](tmp_path))
    for seed in range(5):
        split = manifest.split(seed)
        assert sum(len(split[part]) for part in ("train", "validation", "test")) == len(manifest)


def test_all_sets_say_whom_to_cite_and_under_which_terms() -> None:
    assert [kind.name for kind in KINDS if not kind.citation or not kind.licence] == []


# CheXpert and MIMIC: the labeller's columns


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


# ChestX-ray14


def test_chestxray14_in_its_official_layout(tmp_path: Path) -> None:
    manifest = open_dataset("nih", made_finding_sets.nih_official(tmp_path))
    assert [record.part for record in manifest] == ["train", "train", "train", "test"]
    assert [record.attributes["age"] for record in manifest] == ["58", "58", "61", "7"]
    assert positives(manifest.records[2]) == {"lung_lesion", "lung_opacity", "pleural_effusion"}
    assert [record.abnormal for record in manifest] == [1.0, 0.0, 1.0, 1.0]
    split = manifest.split(fractions=(0.65, 0.15, 0.2))
    assert [record.id for record in split["test"]] == ["00000003_000"]


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


# Open-i


@pytest.mark.parametrize(
    "captions",
    [
        ("chest 2v frontal/lateral", "chest 2v frontal/lateral"),
        ("pa, and lateral", "pa, and lateral"),
        ("pa & lat", "pa & lat"),
        ("frontal view", "lateral view"),
    ],
)
def test_openi_captions_name_views_with_any_punctuation(captions: tuple[str, str]) -> None:
    assert list(openi._views(("a", "b"), captions, {}).values()) == ["Frontal", "Lateral"]


def test_openi_reports_become_records(tmp_path: Path) -> None:
    records = open_dataset("openi", made_finding_sets.openi(tmp_path)).records
    assert [record.patient_id for record in records] == [f"openi-{number}" for number in range(1, 5)]
    assert [bool(record.lateral) for record in records] == [True, False, True, True]
    assert said(records[0]) == dict.fromkeys(CODES, 0.0)
    assert [record.abnormal for record in records[:3]] == [0.0, 1.0, 1.0]
    assert positives(records[1]) == {"cardiomegaly", "enlarged_cardiomediastinum", "pleural_other"}
    assert unknown(records[1]) == {"edema"}  # congestion is not edema, and not its absence
    assert positives(records[2]) == {"lung_opacity"}
    assert unknown(records[2]) == {"atelectasis"}
    assert records[3].labels == pytest.approx(UNKNOWN, nan_ok=True)
    assert math.isnan(records[3].abnormal)


def test_the_table_of_projections_outranks_the_order_of_films(tmp_path: Path) -> None:
    folder = made_finding_sets.openi(tmp_path)
    name = "1_1_IM-0001-{}001.dcm.png"
    table = folder / "indiana_projections.csv"
    table.write_text(f"uid,filename,projection\n1,{name.format(1)},Lateral\n1,{name.format(2)},Frontal\n")
    first = open_dataset("openi", folder).records[0]
    assert first.id == "CXR1_1_IM-0001-2001"
    assert first.lateral is not None
    assert first.lateral.path.stem == "CXR1_1_IM-0001-1001"
    change(table, "Lateral", "Side")
    assert "has the projection 'Side'" in refusal("openi", folder)


def test_a_damaged_report_is_named(tmp_path: Path) -> None:
    folder = made_finding_sets.openi(tmp_path)
    report = folder / "ecgen-radiology" / "2.xml"
    report.write_text(report.read_text()[:-20])
    assert "2.xml: is no readable report" in refusal("openi", folder)


@pytest.mark.parametrize(
    ("term", "code"),
    [
        ("Pneumothorax/left", "pneumothorax"),
        ("Pleural Effusion/right/small", "pleural_effusion"),
        ("Fractures, Bone/ribs/healed", "fracture"),
        ("Catheters, Indwelling/right", "support_devices"),
        ("Thickening/pleura/apex", "pleural_other"),
    ],
)
def test_mesh_terms_with_qualifiers(term: str, code: str) -> None:
    labels, abnormal = openi.labels_from([term])
    assert [CODES[i] for i, value in enumerate(labels) if value == 1.0] == [code]
    assert abnormal == 1.0


# PadChest


def test_padchest_rows_become_records(tmp_path: Path) -> None:
    records = open_dataset("padchest", made_finding_sets.padchest(tmp_path)).records
    assert [record.id for record in records] == ["p1_s1_a", "p2_s2_a", "p3_s3_a", "p4_s4_a"]
    assert records[0].lateral is not None
    assert positives(records[0]) == {"cardiomegaly", "enlarged_cardiomediastinum", "pleural_effusion"}
    assert said(records[1]) == dict.fromkeys(CODES, 0.0)
    assert unknown(records[2]) == {"atelectasis"}
    assert unknown(records[3]) == set(CODES)
    assert [record.abnormal for record in records[:3]] == [1.0, 0.0, 1.0]
    assert math.isnan(records[3].abnormal)
    assert records[0].attributes == {"view": "PA", "sex": "M", "age": "64"}
    assert {record.part for record in records} == {None}


@pytest.mark.parametrize("labels", ["pneumonia", "['a'", "{'a'}", "[1]", "__import__('os')"])
def test_labels_that_are_no_list_of_names_are_refused(labels: str, tmp_path: Path) -> None:
    folder = made_finding_sets.padchest(tmp_path)
    table = next(folder.glob("*.csv"))
    rows = list(csv.reader(table.read_text().splitlines()))
    rows[1][-1] = labels
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert "line 2 has the labels" in refusal("padchest", folder)


@pytest.mark.parametrize("vocabulary", [padchest.VOCABULARY, openi.VOCABULARY])
def test_no_name_is_a_synonym_and_doubtful_and_children_make_their_parent(vocabulary: object) -> None:
    synonyms, doubtful = vocabulary.synonyms, vocabulary.doubtful  # type: ignore[attr-defined]
    assert set(synonyms) == set(CODES)
    assert [code for code in CODES if synonyms[code] & doubtful.get(code, frozenset())] == []
    for child in ("lung_lesion", "edema", "consolidation", "pneumonia", "atelectasis"):
        assert synonyms[child] <= synonyms["lung_opacity"], child


# a site's own


def test_a_sites_table(tmp_path: Path) -> None:
    records = open_dataset("site", made_finding_sets.site(tmp_path)).records
    assert [record.id for record in records] == ["a.png", "sub/b.png", "c.png"]
    assert [record.patient_id for record in records] == ["site-p1", "site-p2", "site-p2"]
    assert said(records[0]) == {"edema": 1.0}
    assert said(records[1]) == {"edema": 0.0, "fracture": 0.0}
    assert [record.abnormal for record in records[:2]] == [1.0, 0.0]
    assert math.isnan(records[2].abnormal)
    assert len(read_site_table((tmp_path / "films.csv").rename(tmp_path / "mine.csv"))) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("edema", "Edema", "column 'Edema' is not known; call it edema"),
        ("abnormal,edema,fracture", "a,b,c", "has no label; add a column abnormal"),
        ("a.png,p1,1,1,", "a.png,p1,yes,1,", "line 2 has 'yes' for abnormal"),
        ("c.png", "a.png", "two records 'a.png'"),
        ("edema,fracture", "edema,Inverted", "column 'Inverted' is not known; call it inverted"),
        ("edema,fracture", "edema,lateral_inverted", "line 4 has lateral_inverted and no lateral"),
        ("p1", "", "line 2 has no patient_id"),
    ],
)
def test_damaged_site_tables(old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = made_finding_sets.site(tmp_path)
    change(folder / "films.csv", old, new)
    assert message in refusal("site", folder)


# the split itself


def record(name: str, part: object, patient: str | None = None) -> Record:
    return Record(name, patient or name, Path("a.png"), part=part)  # type: ignore[arg-type]


def test_a_part_that_a_set_lacks_is_taken_from_its_training_patients() -> None:
    """ChestX-ray14's case: 0.15 of 0.8 of the training patients become the validation part."""
    records = [record(f"t{n}", "train") for n in range(800)] + [record(f"x{n}", "test") for n in range(50)]
    split = Manifest("nih", tuple(records)).split(fractions=(0.65, 0.15, 0.2))
    assert {each.id for each in split["test"]} == {f"x{n}" for n in range(50)}
    # binomial standard deviation: 11
    assert len(split["validation"]) == pytest.approx(150, abs=40)
    assert len(split["train"]) + len(split["validation"]) == 800


def test_an_official_split_does_not_depend_on_the_seed() -> None:
    records = tuple(record(f"r{n}", ("train", "validation", "test")[n % 3]) for n in range(30))
    splits = [Manifest("x", records).split(seed) for seed in range(3)]
    for part in ("train", "validation", "test"):
        assert {each.part for each in splits[0][part]} == {part}  # type: ignore[index]
        assert splits[0][part] == splits[1][part] == splits[2][part]  # type: ignore[index]


def test_a_label_is_not_both_uncertain_and_known() -> None:
    flags = tuple(code == "edema" for code in CODES)
    with pytest.raises(DatasetError, match="calls edema both uncertain and 1"):
        Record("a", "p", Path("a.png"), labels=(1.0,) * 13, uncertain=flags)
    with pytest.raises(DatasetError, match="has 2 uncertainty flags"):
        Record("a", "p", Path("a.png"), uncertain=(True, False))


def test_the_documents_tables_name_every_synonym_and_every_set() -> None:
    text = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text()
    lines = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    assert [kind.name for kind in KINDS if kind.name not in lines or kind.licence not in text] == []
    names = {
        name
        for vocabulary in (padchest.VOCABULARY, openi.VOCABULARY)
        for table in (vocabulary.synonyms, vocabulary.doubtful)
        for code in table
        for name in table[code]
    }
    cells = {cell.strip() for line in text.splitlines() if line.startswith("|") for cell in line.split("|")}
    written = {name for cell in cells for name in cell.split(", ")} | cells
    missing = [name for name in names if name not in written and not any(name in cell for cell in cells)]
    assert missing == []
