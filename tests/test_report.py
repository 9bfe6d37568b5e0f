"""What a report says of a film that is accepted, refused, overridden, or lateral alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from suite.analysis import Analyzer, analyze
from suite.errors import InputError
from suite.findings import CODES, FINDINGS
from suite.report.schema import validate
from suite.stages.artifacts import FindingResult
from suite.study import Study
from tests import fake_stages
from tests.made_films import chest
from tests.report_house import SHAPE, finding, read, study


def test_an_accepted_film_has_every_section(monkeypatch: pytest.MonkeyPatch) -> None:
    report = read(monkeypatch, fake_stages.whole_house()).report
    assert report["schema"] == "radsuite.report/1"
    assert report["study"] == {
        "id": "s1",
        "views": {
            "frontal": {
                "source": "chest-0.png",
                "projection": "PA",
                "rows": 300,
                "columns": 200,
                "spacing_mm": [0.5, 0.25],
            }
        },
    }
    assert report["gate"]["accepted"] is True
    assert report["gate"]["reasons"] == []
    assert report["triage"] == {
        "score": 1.23457,
        "probability": 0.75,
        "interval": [0.6, 0.85],
        "operating_point": 0.4,
        "state": "abnormal",
    }
    assert [each["code"] for each in report["findings"]] == list(CODES)
    assert [each["name"] for each in report["findings"]] == [each.name for each in FINDINGS]
    assert {"film", "lung_mask", "bone_subtracted", "bone_suppressed", "residual"} <= set(report["images"])
    assert report["warnings"] == ["A warning of the lungs."]
    stages = report["provenance"]["stages"]
    assert [stage["name"] for stage in stages] == ["gate", "lungs", "triage", "bone", "diagnosis"]
    assert all(stage["weights_sha256"] == fake_stages.SHA256 and stage["device"] == "cpu" for stage in stages)
    assert "lung_mask: looked at the film" in report["provenance"]["preprocessing"]
    assert report["provenance"]["unavailable"] == []


def test_a_refused_film_has_nothing_but_the_why(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [
        fake_stages.gate("It is upside down; turn it.", "It is a hand."),
        *fake_stages.whole_house()[1:],
    ]
    reading = read(monkeypatch, stages)
    report = reading.report
    assert report["gate"]["accepted"] is False
    assert report["gate"]["overridden"] is False
    assert report["gate"]["reasons"] == ["It is upside down; turn it.", "It is a hand."]
    assert report["gate"]["checks"]["chest"] == {"passed": True, "value": 0.98, "message": "This is a chest."}
    assert report["gate"]["checks"]["check_0"]["value"] is None
    for section in ("triage", "findings", "measurements", "images"):
        assert report[section] is None
    assert [stage["name"] for stage in report["provenance"]["stages"]] == ["gate"]
    assert set(reading.images) == {"film"}


def test_an_overridden_refusal_is_read_and_stays_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is a hand."), *fake_stages.whole_house()[1:]]
    report = read(monkeypatch, stages, override_gate=True).report
    assert report["gate"]["accepted"] is False
    assert report["gate"]["overridden"] is True
    assert report["gate"]["reasons"] == ["It is a hand."]
    assert report["findings"] is not None
    assert report["images"]["lung_mask"] == "lung_mask.png"


def test_overriding_an_acceptance_overrides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        read(monkeypatch, fake_stages.whole_house(), override_gate=True).report["gate"]["overridden"] is False
    )


def test_a_lateral_alone_is_refused_without_running_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    views = fake_stages.fake("views", "lateral", "view", lambda _study: {"view": 1})
    reading = read(monkeypatch, [*fake_stages.whole_house(), views], study(frontal=False, lateral=True))
    assert reading.report["gate"]["accepted"] is False
    assert "no frontal film" in reading.report["gate"]["reasons"][0]
    assert reading.report["provenance"]["stages"] == []
    assert set(reading.report["study"]["views"]) == {"lateral"}
    assert reading.report["findings"] is reading.report["images"] is None


def test_a_lateral_alone_can_be_forced_through_what_needs_no_frontal(monkeypatch: pytest.MonkeyPatch) -> None:
    films = study(frontal=False, lateral=True)
    reading = read(monkeypatch, fake_stages.whole_house(), films, override_gate=True)
    assert reading.report["provenance"]["stages"] == []
    assert reading.report["images"] == {"film_lateral": "film_lateral.png"}


@pytest.mark.parametrize(
    "left_out", ["gate", "bone diagnosis", "triage", "lungs bone diagnosis", "diagnosis"]
)
def test_sections_of_stages_that_did_not_run_are_null(monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    stages = [stage for stage in fake_stages.whole_house() if stage.name not in left_out.split()]  # type: ignore[attr-defined]
    report = read(monkeypatch, stages).report
    section_of = {"gate": "gate", "triage": "triage", "diagnosis": "findings", "lungs": "measurements"}
    for name, section in section_of.items():
        assert (report[section] is None) == (name in left_out.split())
    assert ("bone_subtracted" in report["images"]) == ("bone" not in left_out)
    assert ("lung_mask" in report["images"]) == ("lungs" not in left_out)


def test_numbers_of_numpy_are_written_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from suite.stages.artifacts import Check, GateResult

    checks = (
        Check("a", np.bool_(True), np.float32(0.5), "x"),  # type: ignore[arg-type]
        Check("b", True, float("nan"), "y"),
        Check("c", True, "PA", "z"),
    )
    gate = fake_stages.fake("gate", "frontal", "gate", lambda _study: {"gate": GateResult(checks)})
    single = FindingResult("edema", "uncertain", np.float32(0.1))  # type: ignore[arg-type]

    def make(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(single if each.code == "edema" else each for each in fake_stages.findings()(inputs))

    stages = [gate, *fake_stages.whole_house()[1:4], fake_stages.diagnosis(make)]
    reading = read(monkeypatch, stages)
    assert [check["value"] for check in reading.report["gate"]["checks"].values()] == [0.5, None, "PA"]
    assert finding(reading, "edema")["score"] == 0.1


def test_areas_are_those_of_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """180 rows, columns 33 to 83 and 116 to 166; a pixel is 0.5 x 0.25 mm."""
    measured = read(monkeypatch, fake_stages.whole_house()).report["measurements"]
    assert measured["right_lung_area_px"] == 180 * (83 - 33)
    assert measured["left_lung_area_px"] == 180 * (166 - 116)
    assert measured["lung_area_px"] == 18_000
    assert measured["lung_area_cm2_at_detector"] == pytest.approx(18_000 * 0.5 * 0.25 / 100)


def test_an_area_without_a_spacing_is_in_pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = read(monkeypatch, fake_stages.whole_house(), Study("s", chest(*SHAPE))).report["measurements"]
    assert "lung_area_cm2_at_detector" not in measured


def test_one_check_is_overridden_by_its_name_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is mirrored."), *fake_stages.whole_house()[1:]]
    fake_stages.install(monkeypatch, stages)
    gate = Analyzer(device="cpu").run(study(), override_gate=["check_0"]).report["gate"]
    assert (gate["accepted"], gate["overridden"], gate["reasons"]) == (False, True, ["It is mirrored."])
    assert gate["checks"]["check_0"]["overridden"] is True
    assert "overridden" not in gate["checks"]["chest"]


def test_a_film_that_fails_another_check_stays_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is mirrored.", "It is a hand."), *fake_stages.whole_house()[1:]]
    fake_stages.install(monkeypatch, stages)
    report = Analyzer(device="cpu").run(study(), override_gate=["check_0"]).report
    validate(report)
    assert report["gate"]["overridden"] is False
    assert report["gate"]["checks"]["check_0"]["overridden"] is True
    assert report["findings"] is None
    with pytest.raises(
        InputError, match="check 'hand' is none of the gate's; override one of chest, check_0"
    ):
        Analyzer(device="cpu").run(study(), override_gate=["hand"])


def test_a_check_that_this_film_was_not_asked_for_may_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of laterals, say, among several studies of which some have none; what exists nowhere may not."""
    gate = fake_stages.gate("It is mirrored.")
    gate.checks = ("chest", "check_0", "lateral")  # type: ignore[attr-defined]
    fake_stages.install(monkeypatch, [gate, *fake_stages.whole_house()[1:]])
    analyzer = Analyzer(device="cpu")
    report = analyzer.run(study(), override_gate=["lateral", "check_0"]).report
    assert report["gate"]["overridden"] is True
    with pytest.raises(
        InputError, match="check 'hand' is none of the gate's; override one of chest, check_0"
    ):
        analyzer.run(study(), override_gate=["hand"])
    with pytest.raises(InputError, match="check 'hand'"):  # before a file is opened
        analyze("nowhere.png", override_gate=["hand"])
