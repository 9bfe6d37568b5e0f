"""A calibration in force: which cards are taken, and that stages read by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.special import logit

from classifiers.diagnosis.stage import DiagnosisStage
from classifiers.triage.stage import TriageStage
from suite.analysis import Analyzer
from suite.calibration.in_force import apply
from suite.errors import InputError, WeightsError
from suite.findings import CODES
from suite.report.schema import validate
from suite.study import Study
from tests import fake_stages, untrained_weights
from tests.calibration_house import reading_stages
from tests.made_films import chest


def test_the_calibration_of_one_stage_leaves_that_of_another_in_force(tmp_path: Path) -> None:
    for name in ("triage", "diagnosis"):
        (tmp_path / f"{name}.json").write_text(name)
        apply([tmp_path / f"{name}.json"], tmp_path / "in-force")
    kept = {path.name: path.read_text() for path in (tmp_path / "in-force").iterdir()}
    assert kept == {"triage.json": "triage", "diagnosis.json": "diagnosis"}


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, reading_stages())
    card = json.loads(untrained_weights.card("triage", tmp_path / "cards").path.read_text())
    folder = tmp_path / "calibration"
    folder.mkdir()
    content = {**card, "recalibration": {"source": "ours"}}
    (folder / "triage.json").write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"was fitted to weights .* installed; calibrate again"):
        Analyzer(device="cpu", calibration=folder)
    (folder / "triage.json").write_text(json.dumps({**content, "sha256": fake_stages.SHA256}))
    analyzer = Analyzer(device="cpu", calibration=folder)
    plain = Analyzer(device="cpu")
    assert analyzer.stage_keys["triage"] != plain.stage_keys["triage"]
    assert analyzer.stage_keys["lungs"] == plain.stage_keys["lungs"]
    report = analyzer.run(Study("s", chest(60, 50))).report
    validate(report)
    (folder / "triage.json").write_text(
        json.dumps({**content, "sha256": fake_stages.SHA256, "calibration": {}})
    )
    assert Analyzer(device="cpu", calibration=folder).stage_keys["triage"] != analyzer.stage_keys["triage"]


def test_stages_are_told_whose_outputs_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that says its calibration does not hold is not said to have read by the site's."""
    told: list[Mapping[str, str | None]] = []

    class Diagnosis(fake_stages.diagnosis()):  # type: ignore[misc]
        holds = True

        def recalibrate(self, content: Mapping[str, Any]) -> None:
            pass

        def made_with(self, weights: Mapping[str, str | None]) -> bool:
            told.append(weights)
            return self.holds

    fake_stages.install(monkeypatch, [*fake_stages.whole_house()[:4], Diagnosis])
    card = json.loads(untrained_weights.card("diagnosis", tmp_path / "cards").path.read_text())
    content = {**card, "sha256": fake_stages.SHA256, "recalibration": {"source": "ours"}}
    folder = tmp_path / "calibration"
    folder.mkdir()
    (folder / "diagnosis.json").write_text(json.dumps(content))

    def calibration() -> Any:
        report = Analyzer(device="cpu", calibration=folder).run(Study("s", chest(60, 50))).report
        (run,) = (each for each in report["provenance"]["stages"] if each["name"] == "diagnosis")
        return run.get("calibration")

    assert calibration()["source"] == "ours"
    Diagnosis.holds = False
    assert calibration() is None
    assert told == [{"lungs": fake_stages.SHA256, "bone": fake_stages.SHA256}] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no recalibrated model card"),
        ("{}", "is not a model card"),
        ("card", "is a model card but no recalibrated one"),
    ],
)
def test_a_folder_without_recalibrated_cards_is_refused(
    text: str | None, message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "calibration"
    if text is not None:
        folder.mkdir()
        card = untrained_weights.card("triage", tmp_path / "cards").path.read_text()
        (folder / "triage.json").write_text(card if text == "card" else text)
    with pytest.raises((InputError, WeightsError), match=message):
        Analyzer(device="cpu", calibration=folder)


def test_the_real_stages_read_by_what_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that says 0.9 whatever the score makes every film abnormal and every head suggested."""
    sure = replace(
        untrained_weights.CALIBRATION, slope=0.0, intercept=float(logit(0.9)), covariance=(0.0,) * 3
    )
    triage = object.__new__(TriageStage)
    triage.recalibrate({"calibration": sure.as_json()})
    assert triage._calibration == sure
    diagnosis = object.__new__(DiagnosisStage)
    diagnosis._heads = {code: {"trained": code != "fracture", "calibration": None} for code in CODES}
    diagnosis.recalibrate(
        {"heads": {code: {"trained": True, "calibration": sure.as_json()} for code in CODES}}
    )
    edema, fracture = (diagnosis._result(code, -3.0, {}, {}) for code in ("edema", "fracture"))
    assert (edema.state, edema.probability) == ("suggested", pytest.approx(0.9))
    assert fracture.state == "not_trained"
    with pytest.raises(TypeError):
        diagnosis.recalibrate({"heads": {code: {"calibration": {"covariance": []}} for code in CODES}})
