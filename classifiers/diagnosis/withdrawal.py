"""What a report says where calibrations were fitted with other lungs or bones than are installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from suite.findings import FINDINGS


def shown_heads(
    card: Mapping[str, Any] | None, weights: Mapping[str, str | None]
) -> Mapping[str, Any] | None:
    """Heads of a measured card; ``None`` without one, and where the stage would withdraw them.

    It also does where a card's scores depend on a set's own lungs or bones, which no film brings along.

    Args:
        card: content of the card.
        weights: the sha256 of the weights that make its network's inputs here, by stage.
    """
    stated = {} if card is None else card.get("input_weights") or {}
    if card is None or any(sha256 is None or weights.get(name) != sha256 for name, sha256 in stated.items()):
        return None
    heads: Mapping[str, Any] = card["heads"]
    return heads


def withdrawal(
    withdrawn: Mapping[str, Mapping[str, str | None]],
    left: Collection[str],
    weights: Mapping[str, str | None],
) -> str:
    """One sentence that names the findings without a probability, and those whose probability holds.

    Args:
        withdrawn: by code of the finding, the sha256 of the weights it was calibrated with and that differ,
            by the stage that they are of; ``None`` for the training set's own masks and bones.
        left: codes of the findings whose calibration holds.
        weights: the sha256 of the installed ones, by stage.
    """
    stated = dict.fromkeys(pair for others in withdrawn.values() for pair in others.items())
    pairs = ", ".join(
        f"{name} {_short(sha256)} ({_short(weights.get(name))} here)" for name, sha256 in stated
    )
    if not left:
        return (
            f"The findings have no probabilities: their calibration was fitted with the weights {pairs}; "
            "calibrate again with radsuite calibrate, or install those weights."
        )
    return (
        f"No probability for {_names(withdrawn)}: calibrated with the weights {pairs}; the probabilities of "
        f"{_names(left)} hold; calibrate again with radsuite calibrate on films that suffice for all, or "
        "install those weights."
    )


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]


def _names(codes: Collection[str]) -> str:
    return ", ".join(finding.name for finding in FINDINGS if finding.code in codes)
