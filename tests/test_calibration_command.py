"""``radsuite calibrate`` on a site's films: what it calibrates, puts in force, withdraws and refuses."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from suite.analysis import Analyzer
from suite.calibration import command as calibration_command
from suite.calibration.in_force import read_site_calibrations
from suite.cli import main
from suite.errors import DatasetError
from suite.stages.weights import weights_in_use
from tests import fake_stages, untrained_weights
from tests.calibration_house import install_cards, reading_stages
from tests.made_datasets import write_rows
from tests.made_films import chest_pixels, write_16_bit


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
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cards(tmp_path, monkeypatch)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, cards: None) -> None:
    fake_stages.install(monkeypatch, reading_stages())


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


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize("all_fail", [False, True])
def test_a_film_that_a_stage_fails_on_is_left_out_by_name(
    all_fail: bool, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One film of hundreds does not cost the hours that the others took; none left is a failure."""
    gate, triage, lungs, *others = reading_stages()

    class Lungs(lungs):  # type: ignore[misc, valid-type]
        def run(self, studies: Any) -> Any:
            if all_fail or studies[0]["frontal"].value.source.endswith("/7.png"):
                raise RuntimeError("no lungs")
            return super().run(studies)

    fake_stages.install(monkeypatch, [gate, triage, Lungs, *others])
    out = tmp_path / "out"
    result = radsuite("calibrate", "--films", site, "--out", out, "--device", "cpu")
    sentence = "7.png: stage lungs failed on study film-7 (RuntimeError: no lungs); leave it out of"
    if all_fail:
        assert result.exit_code == 1
        assert (
            "none of the 41 films could be read, and stages failed on 40: 0.png: stage lungs" in result.stderr
        )
        assert len(result.stderr.strip().splitlines()) == 1
        assert not out.exists()
        return
    assert result.exit_code == 0, result.stderr
    left_out = (out / "left_out.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in left_out] == ["7.png", "bad.png"]
    assert left_out[0].startswith(sentence)
    assert "--stages" not in left_out[0]  # which this command does not have
    assert len(list(csv.DictReader((out / "films.csv").read_text().splitlines()))) == 39


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


def test_a_network_of_ones_own_is_calibrated_and_reads_by_its_card(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, triage, *_others = reading_stages()

    class Triage(triage):  # type: ignore[misc, valid-type]
        def __init__(self, device: str) -> None:
            super().__init__(device)
            self.weights_sha256 = weights_in_use("triage")

    fake_stages.install(monkeypatch, [gate, Triage])
    own = untrained_weights.card("triage", tmp_path / "own")
    options = ("--films", site, "--weights", own.weights_path, "--stage", "triage", "--out", tmp_path / "out")
    result = radsuite("calibrate", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out" / "triage.json").read_text())["sha256"] == own.sha256
    reading = ("--weights", str(own.weights_path), "--calibration", str(tmp_path / "out"), "--out")
    assert f"radsuite analyze INPUT... {' '.join(reading)} DIR" in result.stdout.replace("\n", " ")
    read = radsuite("analyze", site.parent / "0.png", *reading, tmp_path / "readings")
    assert read.exit_code == 0, read.stderr

    missing = radsuite("calibrate", *options, "--weights", "none.safetensors")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("none.json: is no readable model card")
    refused = radsuite("calibrate", *options, "--apply")
    assert refused.exit_code == 2
    assert "--apply puts cards in force for the weights that are installed" in refused.stderr


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
