"""Labels of a plot for phones: each stands above its line, and letters keep their size on a narrow screen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

LETTERS = 46
"""Of one line of a label; what is longer goes on in the next."""

_LETTERS_HEIGHT, _LINE_HEIGHT, _TOP, _AXIS_HEIGHT = 16.0, 26.0, 4.0, 22.0


@dataclass(frozen=True, slots=True)
class StackedLabel:
    """The lines of a label with their heights, and the height of what is drawn below, in drawing units."""

    lines: tuple[tuple[float, str], ...]
    y: float


def stacked(labels: Sequence[str]) -> tuple[list[StackedLabel], float]:
    """Labels one below the other, each with room for its line; and the height of all with an axis below."""
    found, y = [], _TOP
    for label in labels:
        wrapped = textwrap.wrap(label, LETTERS) or [""]
        lines = tuple((y + _LETTERS_HEIGHT * (number + 1) - 4.0, own) for number, own in enumerate(wrapped))
        y += _LETTERS_HEIGHT * len(lines)
        found.append(StackedLabel(lines, y + _LINE_HEIGHT / 2 - 4.0))
        y += _LINE_HEIGHT
    return found, y + _AXIS_HEIGHT
