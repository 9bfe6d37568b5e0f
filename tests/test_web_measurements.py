"""Measurements on the reading page: in words, with units, in an order that does not depend on the stages."""

from __future__ import annotations

from suite.analysis import Analyzer
from suite.study import Study
from tests.made_films import chest
from web.measurement_rows import WORDS, measurement_rows

MEASURING = ["lungs", "whole-lungs", "organs", "bone", "tissues", "pneumothorax"]


def test_numbers_have_units_and_shares_are_percent() -> None:
    measured = {
        "pneumothorax_gate_score": 0.04148,
        "left_lung_hidden_share": 0.4213,
        "lung_whole_area_cm2_at_detector": 1765.69,
        "lung_area_px": 432966,
        "cardiothoracic_ratio": 0.4324,
        "heart_width_mm_at_detector": None,
        "of_somebody_else": 2.5,
    }
    assert measurement_rows({"measurements": measured}) == [
        ("Visible lung fields", "432 966 px"),
        ("Whole lungs, at detector", "1 765.7 cm²"),
        ("Left lung, hidden on the film", "42.1 %"),
        ("Cardiothoracic ratio", "0.43"),
        ("Pneumothorax gate, no probability", "0.04"),
        ("Of somebody else", "2.50"),
    ]
    assert measurement_rows({"measurements": None}) == []


def test_every_number_of_the_installed_stages_has_words_of_its_own() -> None:
    film = chest(300, 260, spacing=(1.2, 1.2))
    measured = (
        Analyzer(MEASURING, device="cpu").run(Study("s1", film), override_gate=True).report["measurements"]
    )
    assert measured.keys() == WORDS.keys()
    assert len({*WORDS.values()}) == len(WORDS)
