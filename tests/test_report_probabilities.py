"""Findings in a report: which have a probability, why others have none, and how the table says it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from suite.analysis import Analyzer
from suite.commands.analysis import table_of
from suite.errors import StageError, SuiteError
from suite.findings import CODES
from suite.reading import Reading
from suite.report.disagreement import disagreement
from suite.report.schema import validate
from tests import fake_stages
from tests.report_house import finding, read, study


def test_heads_without_teaching_or_calibration_have_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())
    numbers = ("score", "probability", "interval", "operating_point", "heatmap")
    fracture, edema = finding(reading, "fracture"), finding(reading, "edema")
    assert fracture["state"] == "not_trained"
    assert [fracture[key] for key in numbers] == [None] * 5
    assert fracture["regions"] == []
    assert edema["score"] == 0.25
    assert [edema[key] for key in numbers[1:]] == [None] * 4


def read_computed_fracture(patch: pytest.MonkeyPatch) -> Reading:
    make = fake_stages.without_probability("fracture", "learned from computed films only")
    return read(patch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])


def test_a_score_without_a_probability_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read_computed_fracture(monkeypatch)
    fracture = finding(reading, "fracture")
    assert fracture["no_probability"] == "learned from computed films only"
    assert (fracture["state"], fracture["score"], fracture["probability"]) == ("uncertain", 1.2, None)
    assert fracture["heatmap"] == {"frontal": "heatmap_fracture_frontal.png"}
    assert finding(reading, "pneumothorax")["no_probability"] is None


@pytest.mark.parametrize(
    "change",
    [{"probability": 0.4}, {"interval": [0.2, 0.6]}, {"operating_point": 0.5}, {"state": "suggested"}],
)
def test_the_schema_refuses_a_probability_beside_the_reason_why_there_is_none(
    monkeypatch: pytest.MonkeyPatch, change: Mapping[str, Any]
) -> None:
    reading = read_computed_fracture(monkeypatch)
    finding(reading, "fracture").update(change)
    with pytest.raises(SuiteError, match=f"findings/{CODES.index('fracture')}/{next(iter(change))}"):
        validate(reading.report)


def test_a_finding_says_what_the_lateral_did_to_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        results = fake_stages.findings()(inputs)
        return tuple(replace(each, lateral_effect=0.1234567) if each.score else each for each in results)

    reading = read(monkeypatch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])
    assert finding(reading, "pneumothorax")["lateral_effect"] == 0.12346
    assert finding(reading, "fracture")["lateral_effect"] is None
    finding(reading, "fracture")["lateral_effect"] = 0.1
    with pytest.raises(SuiteError, match="lateral_effect"):
        validate(reading.report)


def test_the_command_lines_table_says_why_findings_have_no_probability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = [dict(read_computed_fracture(monkeypatch).report)] * 2
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(reports))
    printed = console.export_text()
    assert "No probability, learned from computed films only: Fracture." in printed
    assert printed.count("Fracture") == 1
    without = dict(read(monkeypatch, fake_stages.whole_house()).report)
    assert table_of([without]).caption == "No probability, not calibrated: Edema."
    none = {**without, "findings": [each for each in without["findings"] if each["code"] != "edema"]}
    assert table_of([none]).caption is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"fracture": None, "edema": None}, "no probability for 2 findings"),
        ({"fracture": None, "edema": 0.02}, "none; no probability for 1 finding"),
        ({"fracture": 0.01, "edema": 0.02}, "none"),
        ({}, "none"),
    ],
)
def test_the_table_says_none_only_of_findings_with_a_probability(
    told: Mapping[str, float | None], words: str
) -> None:
    findings = [
        {
            "code": code,
            "name": code,
            "score": 0.1,
            "probability": probability,
            "state": "uncertain" if probability is None else "not_suggested",
        }
        for code, probability in told.items()
    ]
    report = {"study": {"id": "film"}, "gate": None, "triage": None, "findings": findings}
    assert list(table_of([report]).columns[-1].cells) == [words]


def test_findings_in_another_order_are_not_relabelled(monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return fake_stages.findings()(inputs)[::-1]

    def twelve(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return fake_stages.findings()(inputs)[:12]

    for make in (shuffled, twelve):
        fake_stages.install(monkeypatch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])
        with pytest.raises(StageError, match="are not the 13 known ones in their order"):
            Analyzer(device="cpu").run(study())


@pytest.mark.parametrize("triage", ["normal", "abnormal", "uncertain", None])
def test_two_networks_that_disagree_are_not_left_to_the_reader_to_notice(triage: str | None) -> None:
    findings = [
        {"name": name, "state": state}
        for name, state in (("Edema", "suggested"), ("Fracture", "uncertain"), ("Pneumonia", "suggested"))
    ]
    lines = disagreement(triage, findings)
    assert len(lines) == (triage == "normal")
    assert all("(Edema, Pneumonia)" in line and "do not take the film for normal" in line for line in lines)
    assert disagreement(triage, findings[1:2]) == []


@pytest.mark.parametrize("state", ["normal", "abnormal"])
def test_a_normal_triage_with_a_suggestion_is_among_the_warnings(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [stage for stage in fake_stages.whole_house() if stage.name != "triage"]  # type: ignore[attr-defined]
    stages = [fake_stages.triage(state), *others]
    warnings = read(monkeypatch, stages).report["warnings"]
    assert any("(Pneumothorax): the two networks disagree" in line for line in warnings) == (
        state == "normal"
    )
