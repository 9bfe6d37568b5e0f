"""Recalibration on a site's films: fits that mend a known distortion, heads that are kept, cards in force."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from scipy.special import expit, logit

from classifiers.calibration import Calibration, fit_line
from classifiers.calibration_methods import HeadFilms, choose, cross_fitted, fit, fit_curve, log_loss
from classifiers.diagnosis.stage import DiagnosisStage
from classifiers.operating_points import YOUDEN, OperatingRule
from classifiers.recalibration import DiagnosisRecalibrator, TriageRecalibrator
from classifiers.reliability import Judged, brier, ece_mass, ece_width, plot_reliability, slope_and_intercept
from classifiers.resampling import fit_lines
from classifiers.triage.stage import TriageStage
from suite.analysis import Analyzer
from suite.calibration import command as calibration_command
from suite.calibration.contract import ABNORMAL, CalibrationPlan, ScoredFilms
from suite.calibration.in_force import apply, read_site_calibrations
from suite.cli import main
from suite.errors import DatasetError, InputError, WeightsError
from suite.findings import CODES
from suite.report.schema import validate
from suite.stages.artifacts import FindingResult, TriageResult
from suite.study import Study
from tests import fake_stages, untrained_weights
from tests.made_datasets import write_rows
from tests.made_films import chest, chest_pixels, write_16_bit

Values = npt.NDArray[np.float64]
SLOPE, INTERCEPT = 0.5, -1.2
"""A network that boasts on these films, and sees fewer positives than it was calibrated on."""


def head_films(count: int, seed: int = 0, films_each: int = 1) -> HeadFilms:
    """Labels drawn from a known logistic curve of the scores."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0.0, 2.0, count)
    truth = (rng.random(count) < expit(SLOPE * score + INTERCEPT)).astype(float)
    patients = np.array([f"p{index // films_each}" for index in range(count)])
    return HeadFilms(truth, score, patients)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# methods


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_known_curve_is_recovered(method: str) -> None:
    calibration = fit_curve(head_films(20_000), method)  # type: ignore[arg-type]
    for score in (-3.0, 0.0, 2.0):
        assert calibration.probability(score) == pytest.approx(expit(SLOPE * score + INTERCEPT), abs=0.04)


def test_temperature_keeps_a_score_of_nothing_at_one_half() -> None:
    generator = np.random.default_rng(1)
    score = generator.normal(0.0, 2.0, 8000)
    truth = (generator.random(8000) < expit(0.4 * score)).astype(float)
    calibration = fit_curve(HeadFilms(truth, score, np.arange(8000).astype(str)), "temperature")
    assert calibration.slope == pytest.approx(0.4, abs=0.03)
    assert calibration.probability(0.0) == 0.5


def test_a_curve_follows_what_no_line_can() -> None:
    """Half of all films with a score above 0 have the finding, whatever the score; none below."""
    generator = np.random.default_rng(2)
    score = generator.normal(0.0, 2.0, 6000)
    truth = ((score > 0) & (generator.random(6000) < 0.5)).astype(float)
    films = HeadFilms(truth, score, np.arange(6000).astype(str))
    method, why = choose(films, rng())
    assert method == "isotonic"
    assert "log loss on other patients" in why
    curve = fit_curve(films, "isotonic")
    assert curve.probability(4.0) == pytest.approx(0.5, abs=0.06)
    assert curve.probability(-4.0) < 0.03


def test_few_films_are_scaled_by_platt() -> None:
    assert choose(head_films(300), rng())[0] == "platt"


def test_an_isotonic_curve_rises_and_survives_the_card() -> None:
    calibration = fit(head_films(600), "isotonic", YOUDEN, "here", rng())
    probabilities = calibration.probabilities(np.linspace(-8, 8, 101))
    assert (np.diff(probabilities) >= 0).all()
    assert 0.0 < probabilities[0] < probabilities[-1] < 1.0
    assert Calibration.from_json(json.loads(json.dumps(calibration.as_json()))) == calibration
    for score in (-5.0, -0.3, 0.0, 1.0, 5.0):
        low, high = calibration.interval(score)
        assert low <= calibration.probability(score) <= high


def test_many_draws_at_once_are_the_fits_one_by_one() -> None:
    films = head_films(60)
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=4).astype(float)
    lines = fit_lines(films.score, films.truth, weights)
    for line, weight in zip(lines, weights, strict=True):
        rows = np.repeat(np.arange(60), weight.astype(int))
        assert line == pytest.approx(fit_line(films.score[rows], films.truth[rows]), abs=1e-4)


def test_the_interval_from_patients_holds_the_truth_about_95_times_in_100() -> None:
    """Four films a patient with the same score and label: taken for four patients they are four witnesses."""
    truth = expit(SLOPE * 0.7 + INTERCEPT)
    covered = plain = 0
    for seed in range(40):
        one = head_films(90, seed)
        films = HeadFilms(*(np.repeat(each, 4) for each in one))
        low, high = fit(films, "platt", YOUDEN, "", np.random.default_rng(seed)).interval(0.7)
        covered += low <= truth <= high
        strangers = films._replace(patients=np.arange(360).astype(str))
        low, high = fit(strangers, "platt", YOUDEN, "", np.random.default_rng(seed)).interval(0.7)
        plain += low <= truth <= high
    # binomial standard deviation: 3 %
    assert covered / 40 >= 0.85
    assert plain < covered


def test_no_film_is_judged_by_a_calibration_that_saw_its_patient() -> None:
    seen: list[set[str]] = []

    def fitted(films: HeadFilms) -> Calibration:
        seen.append(set(films.patients))
        return replace(fit_curve(films, "platt"), slope=1.0, intercept=float(len(seen)))

    films = head_films(200, films_each=4)
    probability, suggested = cross_fitted(films, fitted, rng())
    assert len(seen) == 5
    for fold, others in enumerate(seen, start=1):
        judged = np.isclose(logit(probability), films.score + fold)
        assert judged.any()
        assert not set(films.patients[judged]) & others
    assert (suggested == (probability >= 0.5)).all()


# operating points


def roc(cut: float, films: HeadFilms, probability: Values) -> tuple[float, float]:
    suggested = probability >= cut
    return float(suggested[films.truth > 0].mean()), float((~suggested)[films.truth == 0].mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95])
def test_an_operating_point_keeps_what_its_rule_promises(seed: int, wanted: float) -> None:
    films = head_films(150, seed)
    probability = expit(films.score.round(1))  # with ties
    cut = OperatingRule("sensitivity", wanted).cut(films.truth, probability)
    sensitivity, specificity = roc(cut, films, probability)
    assert sensitivity >= wanted
    higher = probability[probability > cut + 1e-9]
    rivals = [roc(each, films, probability) for each in higher]
    assert not [each for each in rivals if each[0] >= wanted and each[1] > specificity]
    cut = OperatingRule("specificity", wanted).cut(films.truth, probability)
    assert roc(cut, films, probability)[1] >= wanted


def test_no_cut_is_specific_enough_when_the_top_film_is_wrong() -> None:
    truth, probability = np.array([0.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.4])
    cut = OperatingRule("specificity", 0.99).cut(truth, probability)
    assert cut == pytest.approx(0.95)


@pytest.mark.parametrize("text", ["youden", "sensitivity=0.95", "specificity=0.9", " Youden "])
def test_rules_that_are_known(text: str) -> None:
    assert OperatingRule.parse(text).kind in text.lower()


@pytest.mark.parametrize("text", ["", "best", "sensitivity", "sensitivity=1", "specificity=0", "youden=0.5",
                                  "sensitivity=much", "sensitivity=nan"])  # fmt: skip
def test_rules_that_are_not(text: str) -> None:
    with pytest.raises(InputError, match="use youden, sensitivity="):
        OperatingRule.parse(text)


# figures


def test_errors_by_hand() -> None:
    """Two bins of equal width: 0.1, 0.3 and 0.45 with one positive (said .85, came 1), and 0.9 (gap .1)."""
    truth, probability = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.3, 0.45, 0.9])
    assert ece_width(truth, probability, bins=2) == pytest.approx((abs(0.85 - 1.0) + 0.1) / 4)
    assert ece_mass(truth, probability, bins=2) == pytest.approx((0.6 + 0.35) / 4)
    assert brier(truth, probability) == pytest.approx((0.01 + 0.49 + 0.2025 + 0.01) / 4)


def test_slope_and_intercept_tell_boasting() -> None:
    films = head_films(20_000)
    slope, intercept = slope_and_intercept(films.truth, expit(films.score))
    assert (slope, intercept) == (pytest.approx(SLOPE, abs=0.05), pytest.approx(INTERCEPT, abs=0.05))


def test_certainty_at_the_ends_is_counted_and_drawn(tmp_path: Path) -> None:
    truth, probability = np.array([0.0, 1.0] * 10), np.array([0.0, 1.0] * 10)
    assert ece_width(truth, probability) == 0.0
    judged = Judged(truth, probability, probability > 0.5, [str(n) for n in range(20)])
    figures = judged.figures(rng(), draws=50)
    assert figures["sensitivity"].value == figures["specificity"].value == 1.0
    plot_reliability({"edema": {"after": judged}}, tmp_path / "diagram.png")
    assert (tmp_path / "diagram.png").stat().st_size > 2000


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_films_with_one_kind_of_label_have_no_line_but_every_other_figure(kind: float) -> None:
    """A test part may hold none with the finding, or none without it."""
    probability = np.full(20, 0.25)
    judged = Judged(np.full(20, kind), probability, probability > 0.5, [str(n) for n in range(20)])
    figures = judged.figures(rng(), draws=50)
    assert math.isnan(figures["slope"].value)
    assert math.isnan(figures["slope"].low)
    assert math.isnan(figures["intercept"].high)
    assert figures["brier"].value == pytest.approx((0.25 - kind) ** 2)
    assert figures["ece_width"].low == pytest.approx(abs(0.25 - kind))
    missing = "sensitivity" if kind == 0.0 else "specificity"
    assert math.isnan(figures[missing].value)


# the networks' calibrators


def scored(films: HeadFilms, heads: tuple[str, ...]) -> ScoredFilms:
    """The same films for each of ``heads``; nothing known of the others."""
    nothing = np.full(len(films.score), math.nan)
    every = (ABNORMAL, *CODES)
    return ScoredFilms(
        tuple(str(index) for index in range(len(films.score))),
        tuple(films.patients),
        {head: films.truth if head in heads else nothing for head in every},
        dict.fromkeys(every, films.score),
    )


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards of networks that learned nothing: fracture and devices not trained, edema not calibrated."""
    made = {
        "triage": untrained_weights.card("triage", tmp_path / "cards"),
        "diagnosis": untrained_weights.card("diagnosis", tmp_path / "cards"),
    }
    monkeypatch.setattr("classifiers.recalibration.shipped_card", lambda _package, name: made[name])


@pytest.mark.usefixtures("cards")
def test_what_boasted_becomes_honest_and_the_rest_is_kept() -> None:
    films = scored(head_films(1500), ("cardiomegaly", "edema", "fracture"))
    result = DiagnosisRecalibrator(CalibrationPlan(source="our films")).recalibrate(films)
    reports = {report.head: report for report in result.heads}
    assert tuple(reports) == CODES
    cardiomegaly, edema = reports["cardiomegaly"], reports["edema"]
    assert cardiomegaly.before["ece_width"].value > 0.1
    assert cardiomegaly.after["ece_width"].value < 0.04
    assert cardiomegaly.after["brier"].value < cardiomegaly.before["brier"].value
    assert cardiomegaly.after["slope"].value == pytest.approx(1.0, abs=0.15)
    assert not edema.before
    assert edema.after["ece_width"].value < 0.04
    assert "not trained" in reports["fracture"].kept
    assert "kept as it was: 0 films with it" in reports["pneumonia"].kept
    heads = result.card["heads"]
    assert (
        heads["cardiomegaly"]["calibration"]["source"]
        == heads["edema"]["calibration"]["source"]
        == "our films"
    )
    assert heads["pneumonia"]["calibration"] == untrained_weights.CALIBRATION.as_json()
    assert heads["edema"]["no_probability"] is None  # the site's films have given it one
    assert heads["edema"]["calibrated_on"] == "our films"
    assert heads["fracture"] == {"trained": False, "calibration": None}
    assert set(result.card["recalibration"]["kept"]) == set(CODES) - {"cardiomegaly", "edema"}


@pytest.mark.usefixtures("cards")
def test_few_films_or_films_in_the_wrong_order_leave_a_head_as_it_was() -> None:
    few = head_films(40)
    lonely = HeadFilms(few.truth, few.score, np.array(["one"] * 40))
    backwards = HeadFilms(few.truth, -few.score, few.patients)
    for films, word in ((lonely, "of 5 patients"), (backwards, "no better than chance")):
        result = TriageRecalibrator(CalibrationPlan()).recalibrate(scored(films, (ABNORMAL,)))
        assert word in result.heads[0].kept
        assert result.card["calibration"] == untrained_weights.CALIBRATION.as_json()
        assert result.draw is None


@pytest.mark.usefixtures("cards")
def test_a_sensitivity_asked_for_is_kept_and_in_the_card() -> None:
    films = scored(head_films(800, 3), (ABNORMAL,))
    plan = CalibrationPlan("sensitivity=0.95", source="ours")
    result = TriageRecalibrator(plan).recalibrate(films)
    calibration = Calibration.from_json(result.card["calibration"])
    assert calibration.rule == "sensitivity 0.95"
    suggested = calibration.probabilities(films.scores[ABNORMAL]) >= calibration.operating_point
    assert suggested[films.labels[ABNORMAL] == 1].mean() >= 0.95
    # on patients it was not fitted on: binomial standard deviation 1.4 %
    assert result.heads[0].after["sensitivity"].value == pytest.approx(0.95, abs=0.05)


@pytest.mark.usefixtures("cards")
def test_the_same_films_give_the_same_card() -> None:
    films = scored(head_films(200), (ABNORMAL,))
    first, second = (TriageRecalibrator(CalibrationPlan(seed=4)).recalibrate(films) for _ in range(2))
    assert first.card == second.card


@pytest.mark.parametrize("plan", [CalibrationPlan("best"), CalibrationPlan(method="guess")])
def test_a_plan_is_checked_before_a_film_is_read(plan: CalibrationPlan) -> None:
    with pytest.raises(InputError, match="is not known; use"):
        TriageRecalibrator(plan)


def test_log_loss_survives_certainty() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-6))


# the command


def tell(study: Any) -> float:
    """A score that a film's mean brightness decides."""
    return float(study["frontal"].value.pixels.mean() - 0.6) * 40


def reading_stages() -> list[type]:
    def findings(study: Any) -> tuple[FindingResult, ...]:
        return tuple(FindingResult(code, "uncertain", tell(study)) for code in CODES)

    class Triage(
        fake_stages.fake(  # type: ignore[misc]
            "triage",
            "frontal",
            "triage",
            lambda study: {"triage": TriageResult(tell(study), 0.5, (0.4, 0.6), 0.5, "uncertain")},
        )
    ):
        def recalibrate(self, content: Mapping[str, Any]) -> None:
            self.read_by = content["calibration"]

    return [
        fake_stages.gate(),
        Triage,
        fake_stages.lungs(),
        fake_stages.bone(),
        fake_stages.diagnosis(findings),
    ]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Forty dark and bright films of twenty patients; brightness goes with disease; one is unreadable."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(40):
        bright = float(generator.normal(0, 0.03))
        write_16_bit(
            tmp_path / f"{number}.png",
            np.clip(chest_pixels(40, 40, number) + bright, 0, 1).astype(np.float32),
        )
        sick = str(int(bright + generator.normal(0, 0.02) > 0))
        rows.append([f"{number}.png", f"p{number // 2}", sick, sick, ""])
    (tmp_path / "bad.png").write_bytes(b"no film")
    rows.append(["bad.png", "p99", "1", "1", "1"])
    return write_rows(tmp_path / "films.csv", ["file", "patient_id", "abnormal", "edema", "fracture"], rows)


def radsuite(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, cards: None) -> None:
    fake_stages.install(monkeypatch, reading_stages())


def test_the_calibration_of_one_stage_leaves_that_of_another_in_force(tmp_path: Path) -> None:
    for name in ("triage", "diagnosis"):
        (tmp_path / f"{name}.json").write_text(name)
        apply([tmp_path / f"{name}.json"], tmp_path / "in-force")
    kept = {path.name: path.read_text() for path in (tmp_path / "in-force").iterdir()}
    assert kept == {"triage.json": "triage", "diagnosis.json": "diagnosis"}


@pytest.mark.usefixtures("house")
def test_a_site_calibrates_puts_in_force_and_withdraws(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = tmp_path / "out", tmp_path / "service"
    monkeypatch.setenv("RADSUITE_DATA", str(data))
    result = radsuite("calibrate", "--films", site, "--out", out, "--rule", "sensitivity=0.9", "--apply")
    assert result.exit_code == 0, result.stderr
    assert "left out: bad.png" in result.stderr
    assert "| abnormal |" in result.stdout
    assert {path.name for path in out.iterdir()} == {
        "triage.json", "diagnosis.json", "calibration.md", "calibration.json", "films.csv", "left_out.txt",
        "reliability-triage.png", "reliability-diagnosis.png",
    }  # fmt: skip
    diagnosis = json.loads((out / "diagnosis.json").read_text())
    assert diagnosis["recalibration"]["input_weights"] == dict.fromkeys(("bone", "lungs"), fake_stages.SHA256)
    summary = json.loads((out / "calibration.json").read_text())
    assert summary["triage"][0]["before"]["brier"]["n"] == 40
    rows = list(csv.DictReader((out / "films.csv").read_text().splitlines()))
    assert len(rows) == 40
    assert "edema_score" in rows[0]

    found = read_site_calibrations(data / "calibration")
    assert set(found) == {"triage", "diagnosis"}
    assert found["triage"].source == "41 films of 21 patients of site"
    (data / "calibration" / "diagnosis.json").unlink()  # the fake diagnosis cannot be recalibrated
    matching = fake_stages.SHA256
    card = data / "calibration" / "triage.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "sha256": matching}))
    film = site.parent / "0.png"
    read = radsuite("analyze", film, "--out", tmp_path / "readings", "--json")
    assert read.exit_code == 0, read.stderr
    stages = json.loads(read.stdout)[0]["provenance"]["stages"]
    told = {stage["name"]: stage.get("calibration") for stage in stages}
    assert told["triage"]["source"] == "41 films of 21 patients of site"
    assert len(told["triage"]["sha256"]) == 64
    assert told["lungs"] is None

    assert "Taken out of force" in radsuite("calibrate", "--withdraw").stdout
    assert not (data / "calibration").exists()
    assert "no calibration is in force" in radsuite("calibrate", "--withdraw").stdout
    read = radsuite("analyze", film, "--out", tmp_path / "readings", "--json")
    assert all("calibration" not in stage for stage in json.loads(read.stdout)[0]["provenance"]["stages"])


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("planes", "stated"), [({"lungs": None}, {"lungs"}), ({}, set()), (None, {"lungs", "bone"})]
)
def test_only_the_inputs_that_the_scores_depend_on_are_stated(
    planes: dict[str, None] | None, stated: set[str]
) -> None:
    """A network may read fewer planes than its stage is given; a card of before says nothing of them."""
    card = {"recalibration": {"source": "ours"}} | ({} if planes is None else {"input_weights": planes})
    account = calibration_command._with_inputs(card, "diagnosis", Analyzer(device="cpu"))["recalibration"]
    assert account == {"source": "ours", "input_weights": dict.fromkeys(stated, fake_stages.SHA256)}


@pytest.mark.usefixtures("house")
def test_other_options_of_the_command(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = radsuite("calibrate", "--films", site.parent, "--out", out, "--stage", "triage", "--limit", "30")
    assert result.exit_code == 0, result.stderr
    assert "of these 30 drawn at random" in result.stdout
    assert "Not in force yet" in result.stdout
    assert not (out / "diagnosis.json").exists()


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rule", "best"), "the rule 'best' is not known"),
        (("--stage", "lungs"), "stage 'lungs' has no probabilities to calibrate; use diagnosis, triage"),
        (("--films", "none.csv"), "none.csv: is no readable table"),
    ],
)
def test_bad_options_are_one_sentence(
    options: tuple[str, ...], message: str, site: Path, tmp_path: Path
) -> None:
    result = radsuite("calibrate", "--films", site, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nothing_to_calibrate_on_is_said(tmp_path: Path) -> None:
    assert radsuite("calibrate", "--out", tmp_path).exit_code == 2
    table = write_rows(tmp_path / "films.csv", ["file", "patient_id", "edema"], [["a.png", "p", ""]])
    write_16_bit(tmp_path / "a.png", chest_pixels(40, 40))
    result = radsuite("calibrate", "--films", table, "--out", tmp_path / "out")
    assert "none of the films has a known label" in result.stderr


def test_computed_films_give_no_calibration() -> None:
    from suite.datasets.manifest import Manifest, Record

    films = calibration_command.Films([Manifest("phantom", (Record("a", "p", Path("a.png"), abnormal=1.0),))])
    with pytest.raises(
        DatasetError, match=r"phantom: its films are computed, .* give labelled films of patie"
    ):
        films.chosen([], seed=0)


def test_films_that_the_weights_learned_from_are_kept_out() -> None:
    """Of a set that taught the network, only its test patients can say how it does on others."""
    from suite.datasets.manifest import Manifest, Record
    from suite.stages.weights import ModelCard

    records = tuple(Record(f"f{n}", f"p{n}", Path("a.png"), abnormal=1.0) for n in range(200))
    films = calibration_command.Films([Manifest("nih", records)])
    taught = ModelCard(Path("a.json"), {"data": {"nih": 1}, "recipe": {"split_seed": 0}})
    stranger = ModelCard(Path("a.json"), {"data": {"jsrt": 1}})
    test = {record.id for record in Manifest("nih", records).split(0)["test"]}
    chosen, phrase = films.chosen([taught], 0)
    assert {record.id for record in chosen} == test
    assert "(test part)" in phrase
    assert len(films.chosen([stranger], 0)[0]) == 200
    assert len(replace(films, part="all").chosen([taught], 0)[0]) == 200


def test_films_that_the_weights_may_know_under_another_name_are_refused() -> None:
    """SIIM-ACR's films are ChestX-ray14's with new names: its own split holds nothing back."""
    from suite.datasets.manifest import Manifest, Record
    from suite.stages.weights import ModelCard

    records = tuple(Record(f"f{n}", f"p{n}", Path("a.png"), abnormal=1.0) for n in range(20))
    taught = ModelCard(Path("a.json"), {"name": "diagnosis", "learned_from": ["nih", "phantom"]})
    stranger = ModelCard(Path("a.json"), {"name": "diagnosis", "learned_from": ["phantom"]})
    for part in ("auto", "test"):
        films = calibration_command.Films([Manifest("siim", records)], part)
        with pytest.raises(
            DatasetError,
            match=r"siim: its films are ChestX-ray14 films under other names, and the diagnosis weights "
            r"learned from nih, so nobody can tell .*; give films of another source, or --part all",
        ):
            films.chosen([stranger, taught], 0)
    assert len(films.chosen([stranger], 0)[0]) < 20
    assert len(calibration_command.Films([Manifest("siim", records)], "all").chosen([taught], 0)[0]) == 20
    assert len(calibration_command.Films([Manifest("openi", records)]).chosen([taught], 0)[0]) == 20


# in force


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
