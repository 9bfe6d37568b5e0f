"""The network's scores as checks with sentences a radiologist can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from suite.stages.artifacts import Check

if TYPE_CHECKING:  # the names of the checks are known without torch
    from classifiers.gate.scores import GateScores

NETWORK_CHECKS = ("chest", "view", "whole_chest", "rotation", "polarity", "mirrored")
LATERAL_CHECK = "lateral"

_NOT_FRONTAL = {
    "other": (
        "chest",
        "This does not look like a chest radiograph; give a frontal chest film, one film a file.",
    ),
    "lateral": (
        "view",
        "This looks like a lateral view; give it as the lateral (--lateral), beside its frontal film.",
    ),
    "part": (
        "whole_chest",
        "This looks like a part of a chest with most of the lungs cut off, or like another body part; "
        "give a film of the whole chest.",
    ),
}
_TURNED = {
    90: "Looks rotated by 90 degrees: the head points to the picture's left; turn it clockwise.",
    180: "Looks upside down; turn it by 180 degrees.",
    270: ("Looks rotated by 90 degrees: the head points to the picture's right; turn it counter-clockwise."),
}
_FINE = {
    "chest": "It looks like a chest radiograph.",
    "view": "It looks like a frontal view.",
    "whole_chest": "It looks like a whole chest.",
    "rotation": "It stands upright.",
    "polarity": "Bone is bright.",
    "mirrored": "Heart and aorta lie on the patient's left.",
}
_INVERTED = "Looks like a negative: bone is dark; invert it so that bone is bright."
_MIRRORED = (
    "Looks mirrored: heart and aorta lie on the picture's left; compare the side marker and mirror it, "
    "or override this check in situs inversus."
)
_NO_CHEST = "Not judged, because this is no whole frontal chest."
_NOT_YET = "Not judged before the film stands upright with bone bright."


def judge(scores: GateScores, thresholds: Mapping[str, float]) -> tuple[Check, ...]:
    """The six checks in the order of ``NETWORK_CHECKS``; ``value`` is the probability of the fault.

    What is no frontal chest film is not asked how it lies, and a turned film or a negative is not asked for
    its sides: those checks pass without a value.
    """
    odds = scores.odds
    is_frontal = odds["not_frontal"] <= thresholds["not_frontal"]
    checks = []
    for view, (name, message) in _NOT_FRONTAL.items():
        passed = is_frontal or scores.other_view != view
        checks.append(Check(name, passed, round(scores.view[view], 5), _FINE[name] if passed else message))
    questions = (
        ("rotation", "turned", _TURNED[scores.turn]),
        ("polarity", "inverted", _INVERTED),
        ("mirrored", "mirrored", _MIRRORED),
    )
    unasked = None if is_frontal else _NO_CHEST
    for name, question, message in questions:
        if name == "mirrored" and not all(check.passed for check in checks):
            unasked = unasked or _NOT_YET
        if unasked is not None:
            checks.append(Check(name, True, None, unasked))
            continue
        passed = odds[question] <= thresholds[question]
        checks.append(
            Check(name, passed, round(_probability(odds[question]), 5), _FINE[name] if passed else message)
        )
    return tuple(checks)


def judge_lateral(scores: GateScores, thresholds: Mapping[str, float]) -> Check:
    """Whether the film given as the lateral is plainly a frontal one; anything less passes.

    The same margin that a frontal film needs to be called a lateral, the other way round.
    """
    value = round(scores.view["frontal"], 5)
    if scores.odds["not_frontal"] < -thresholds["not_frontal"]:
        message = (
            "The film given as the lateral looks like a frontal view; give the lateral, or leave it out."
        )
        return Check(LATERAL_CHECK, False, value, message)
    return Check(
        LATERAL_CHECK, True, value, "The film given as the lateral does not look like a frontal view."
    )


def _probability(odds: float) -> float:
    """Log-odds as a share in [0, 1]."""
    return float(1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0))))
