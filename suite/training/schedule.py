"""Learning rate and momentum as pure functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Smith's one-cycle policy (2018) with fastai's half cosines: the rate rises and falls, momentum opposes.

    Attributes:
        rising: share of the steps in which the rate rises.
        start, end: factor on the highest rate at the first and the last step.
        momentum: at the lowest and at the highest rate (Adam's first beta).
    """

    rising: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 25e4
    momentum: tuple[float, float] = (0.95, 0.85)

    def rate(self, step: int, total: int) -> float:
        """Factor in (0, 1] on the highest rate at ``step`` of ``total``."""
        return self._between(step, total, (self.start, 1.0, self.end))

    def momentum_at(self, step: int, total: int) -> float:
        """Momentum at ``step`` of ``total``."""
        low_rate, high_rate = self.momentum
        return self._between(step, total, (low_rate, high_rate, low_rate))

    def _between(self, step: int, total: int, values: tuple[float, float, float]) -> float:
        peak = max(self.rising * total - 1, 1e-9)
        if step <= peak:
            return _half_cosine(values[0], values[1], step / peak)
        return _half_cosine(values[1], values[2], min(1.0, (step - peak) / max(total - 1 - peak, 1e-9)))


def _half_cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * progress))
