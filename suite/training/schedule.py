"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, total: int, warmup: float, floor: float = 0.01) -> float:
    """Factor in (0, 1] on the base rate: linear warm-up, then half a cosine down to ``floor``.

    Args:
        step: 0 for the first update.
        total: updates in the whole run.
        warmup: share of ``total`` spent rising.
        floor: factor at the last step.
    """
    rising = max(1, round(warmup * total)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, total - 1 - rising))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
