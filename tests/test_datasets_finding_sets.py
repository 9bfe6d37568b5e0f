"""The big labelled sets in their official layouts: labels, uncertainty, views, official splits, damage."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from suite.datasets import openi, padchest
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import KINDS, open_dataset
from suite.datasets.site import read_site_table
from suite.errors import DatasetError
from suite.findings import CODES
from suite.training.films import load_film
from tests import made_finding_sets
from tests.finding_labels import change, refusal, said
from tests.made_finding_sets import MAKERS

NAN = math.nan


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
        (
            "file,patient_id",
            "File,Patient ID",
            "column file, patient_id is missing; it has File, Patient ID, ",
        ),
        ("file,", "Filename,", "column file is missing; it has Filename, patient_id, "),
        (
            "file,patient_id,abnormal,edema,fracture",
            "file;patient_id;abnormal",
            "its columns are separated by ';'; save it as CSV with commas",
        ),
    ],
)
def test_damaged_site_tables(old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = made_finding_sets.site(tmp_path)
    change(folder / "films.csv", old, new)
    assert message in refusal("site", folder)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_a_table_of_a_spreadsheet_with_other_separators_is_told_so(sign: str, tmp_path: Path) -> None:
    table = made_finding_sets.site(tmp_path) / "films.csv"
    table.write_text("\ufeff" + table.read_text().replace(",", sign), encoding="utf-8")
    assert f"its columns are separated by {sign!r}; save it as CSV with commas" in refusal("site", tmp_path)


def test_an_empty_table_is_told_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "films.csv").touch()
    assert "films.csv: is empty; fetch or write it again, with columns file, patient_id" in refusal(
        "site", tmp_path
    )


def test_a_table_of_many_columns_is_not_listed_whole(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(",".join(f"c{n}" for n in range(20)) + "\n")
    assert "it has c0, c1, c2, c3, c4, c5, c6, c7 and 12 more. Compare" in refusal("site", tmp_path)


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
