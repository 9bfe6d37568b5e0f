"""Sets whose labels are terms from reports: Open-i, PadChest."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from suite.datasets import openi, padchest
from suite.datasets.manifest import UNKNOWN
from suite.datasets.registry import open_dataset
from suite.findings import CODES
from tests import made_finding_sets
from tests.finding_labels import change, positives, refusal, said, unknown

NAN = math.nan


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
