"""Focal Tversky loss (Abraham and Khan 2019): more weight on films that are still badly outlined."""

from __future__ import annotations

from torch import Tensor

from segmentation.losses.tversky import tversky_index

SMALLEST = 1e-7
"""Below this a film counts as right: the slope of a power below 1 has no limit at zero."""


def focal_tversky_loss(
    logits: Tensor,
    target: Tensor,
    gamma: float = 4 / 3,
    false_alarm: float = 0.3,
    miss: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """``(1 - tversky_index)^(1 / gamma)``, averaged over films and planes; gamma 1 is the Tversky loss.

    The exponent is ``1 / gamma`` as in the paper, which recommends 4/3; some libraries raise to ``gamma``.

    Args:
        logits, target: (B, M, H, W); target in {0, 1}.
        gamma: above 0.
        false_alarm, miss: prices of the Tversky index (the paper's 1 - alpha and alpha).
        smooth: in pixels.
    """
    lack = 1 - tversky_index(logits, target, false_alarm, miss, smooth)
    return lack.clamp_min(SMALLEST).pow(1 / gamma).mean()
