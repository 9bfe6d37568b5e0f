"""Weights of one's own in place of shipped ones, as `radsuite analyze --weights` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.errors import InputError, WeightsError
from suite.stages.weights import own_weights, shipped_card, weights_in_use
from tests import fake_stages, untrained_weights
from tests.made_films import chest_pixels, write_16_bit


def test_stages_in_the_block_load_them_and_shipped_ones_after_it(tmp_path: Path) -> None:
    own, shipped = untrained_weights.card("triage", tmp_path), shipped_card("classifiers", "triage")
    with own_weights([own.weights_path]):
        assert shipped_card("classifiers", "triage").sha256 == own.sha256 == weights_in_use("triage")
    assert shipped_card("classifiers", "triage").sha256 == shipped.sha256


def test_weights_that_no_stage_reads_are_refused_with_the_names_of_those_that_are(tmp_path: Path) -> None:
    card = untrained_weights.card("diagnosis", tmp_path)
    card.path.write_text(card.path.read_text().replace('"name": "diagnosis"', '"name": "hands"'))
    with pytest.raises(InputError, match=r"is hands, of which no stage reads weights; give one of .*triage"):
        own_weights([card.path]).__enter__()


def test_weights_without_a_card_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="model card"):
        own_weights([tmp_path / "triage.safetensors"]).__enter__()


def test_a_reading_by_weights_of_ones_own_is_one_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read_by: list[str | None] = []

    def make(_study: Any) -> dict[str, Any]:
        read_by.append(weights_in_use("triage"))
        return {"x": 1}

    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.fake("tissues", "frontal", "x", make)])
    own = untrained_weights.card("triage", tmp_path / "own")
    film = write_16_bit(tmp_path / "front.png", chest_pixels(90, 80))
    asked = ["analyze", str(film), "--out", str(tmp_path / "out"), "--weights", str(own.weights_path)]
    result = CliRunner().invoke(main, asked)
    assert (result.exit_code, read_by) == (0, [own.sha256])

    asked[-1] = str(tmp_path / "missing.safetensors")
    result = CliRunner().invoke(main, asked)
    assert result.exit_code != 0
    assert not isinstance(result.exception, OSError)
