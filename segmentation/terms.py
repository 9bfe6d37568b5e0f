"""The terms that weights come under, by the films that they and the weights they began with learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.datasets.registry import terms_of
from suite.stages.weights import read_card

FREE = "Apache-2.0: learned from computed films only"
UNKNOWN = "not known, as their card is gone"
OWN_FILMS = ("phantom",)
"""Sets without films of patients; real films with computed gas are under the terms of the films."""


def licence(learned_from: Sequence[str], begun_with: str = "") -> str:
    """What a model card says under ``licence``.

    Args:
        learned_from: names of data sets.
        begun_with: the weights file that training went on from, beside its card; empty where there is none.
    """
    others = [name for name in learned_from if name not in OWN_FILMS]
    terms = [f"learned from {terms_of(others)}"] if others else []
    start = _terms_of_weights(Path(begun_with)) if begun_with else FREE
    if start != FREE:
        terms.append(f"begun with weights under other terms: {start}")
    return f"research use only: {'; '.join(terms)}" if terms else FREE


def _terms_of_weights(path: Path) -> str:
    """What the card of a weights file says; a run that has ended does not fail for a file that is gone."""
    card = path.with_suffix(".json")
    return str(read_card(card).content.get("licence", UNKNOWN)) if card.is_file() else UNKNOWN
