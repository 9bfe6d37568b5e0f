"""What a report says where calibrations were fitted with other lungs or bones than are installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from suite.findings import FINDINGS


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
