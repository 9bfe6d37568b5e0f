"""Plots as geometry: numbers become places here, and templates draw them as SVG without a line of style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from suite.records.agreement import Share
from suite.records.reliability import Bin, CurvePoint
from web.research.stacked_labels import StackedLabel, stacked

ROW_HEIGHT = 24.0
LABEL_WIDTH = 172.0
"""Room for short labels; a forest with longer ones has more, up to ``MOST_LETTERS``."""

MOST_LETTERS = 72
_LETTER_WIDTH, _LABEL_GAP = 6.6, 12.0
_PAGE_WIDTH = 720.0
PLOT_WIDTH = 288.0
NUMBER_WIDTH = 164.0
NARROW_START, NARROW_LENGTH = 12.0, 164.0
"""Of the axis on a phone: the drawing is then as wide as it is shown, and letters keep their size."""
_TICK_COUNT = 6
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from ``low`` to ``high`` on ``length`` units of the drawing, beginning at ``start``."""

    low: float
    high: float
    start: float
    length: float
    parts: int = _TICK_COUNT
    """Between about so many ticks."""

    def place(self, value: float) -> float:
        """Where a value lies; what is outside lies on the border."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * self.length, 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and words of round numbers."""
        step = _round_step((self.high - self.low) / self.parts)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = len(f"{step:.10g}".partition(".")[2])
        return [(self.place(n * step), f"{n * step:.{digits}f}") for n in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number with its interval, where there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    group: int = 0
    """Which series it belongs to, for its colour."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot, in drawing units; ``gap`` is a thin line above it."""

    label: str
    y: float
    x: float
    low: float | None
    high: float | None
    number: str
    note: str
    group: int
    lines: tuple[tuple[float, str], ...] = ()
    """The label in lines with their heights, where it stands above and not beside."""


@dataclass(frozen=True, slots=True)
class Forest:
    """A forest plot."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    reference: float | None
    width: float
    height: float
    start: float
    end: float
    narrow: Forest | None = None
    """The same for phones, with each label above its line."""

    @property
    def letters(self) -> int:
        """How many letters of a label there is room for."""
        return round((self.start - _LABEL_GAP) / _LETTER_WIDTH)

    @property
    def is_wide(self) -> bool:
        """Whether its letters would be small on the room that a forest has."""
        return self.width > _PAGE_WIDTH


def forest(figures: Sequence[Figure], *, reference: float | None = None, digits: int = 3) -> Forest:
    """Numbers one below the other on one axis.

    Args:
        reference: a value that is drawn as a line, such as 0.5 for chance.
        digits: behind the decimal point, in the words beside each line.
    """
    start = max(LABEL_WIDTH, _label_width(figures))
    beside = [StackedLabel((), 20.0 + index * ROW_HEIGHT) for index in range(len(figures))]
    height = 20.0 + len(figures) * ROW_HEIGHT + 18.0
    above, narrow_height = stacked([figure.label for figure in figures])
    narrow = _axis_of(figures, reference, NARROW_START, NARROW_LENGTH, parts=3)
    return replace(
        _drawn(figures, _axis_of(figures, reference, start, PLOT_WIDTH), reference, digits, beside, height),
        narrow=_drawn(figures, narrow, reference, digits, above, narrow_height),
    )


def _drawn(
    figures: Sequence[Figure],
    axis: Axis,
    reference: float | None,
    digits: int,
    labels: Sequence[StackedLabel],
    height: float,
) -> Forest:
    rows = tuple(
        Row(
            figure.label,
            label.y,
            axis.place(figure.value),
            None if figure.low is None else axis.place(figure.low),
            None if figure.high is None else axis.place(figure.high),
            _words(figure, digits),
            figure.note,
            figure.group,
            label.lines,
        )
        for figure, label in zip(figures, labels, strict=True)
    )
    end = axis.start + axis.length
    line = None if reference is None else axis.place(reference)
    return Forest(rows, tuple(axis.ticks), line, end + NUMBER_WIDTH, height, axis.start, end)


def _label_width(figures: Sequence[Figure]) -> float:
    longest = max((len(figure.label) for figure in figures), default=0)
    return _LABEL_GAP + _LETTER_WIDTH * min(longest, MOST_LETTERS)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with a vertical interval."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    title: str


@dataclass(frozen=True, slots=True)
class Square:
    """A square plot: both axes with their ticks, a line, a band, and points."""

    marks: tuple[Mark, ...]
    line: str
    band: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    start: float
    end: float
    horizontal: float | None = None


SQUARE_START, SQUARE_LENGTH = 44.0, 280.0


def reliability_plot(bins: Iterable[Bin]) -> Square:
    """Predicted against observed; the diagonal is perfect."""
    x = Axis(0.0, 1.0, SQUARE_START, SQUARE_LENGTH)
    marks = []
    for own in bins:
        low, high = own.observed.interval
        title = f"{own.predicted:.0%} predicted, {own.observed.value:.0%} accepted of {own.observed.n}"
        marks.append(
            Mark(
                x.place(own.predicted),
                _up(x, own.observed.value),
                _up(x, low),
                _up(x, high),
                round(min(9.0, 3.0 + math.sqrt(own.observed.n) / 2), 2),
                title.replace("%", " %"),
            )
        )
    return _square(tuple(marks), "", "", x, x)


def curve_plot(curve: Sequence[CurvePoint], operating_point: float | None) -> Square:
    """Probability by score, with its band; a line at the operating point."""
    x = Axis(curve[0].score, curve[-1].score, SQUARE_START, SQUARE_LENGTH)
    y = Axis(0.0, 1.0, SQUARE_START, SQUARE_LENGTH)
    line = _points((x.place(p.score), _up(y, p.probability)) for p in curve)
    above = [(x.place(p.score), _up(y, p.high)) for p in curve]
    below = [(x.place(p.score), _up(y, p.low)) for p in reversed(curve)]
    level = None if operating_point is None else _up(y, operating_point)
    return _square((), line, _points([*above, *below]), x, y, level)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Shares over time, one column each."""

    marks: tuple[Mark, ...]
    line: str
    labels: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: float
    height: float
    start: float


def timeline(shares: Sequence[tuple[str, Share]]) -> Timeline:
    """Shares by what their column is called; at most some twenty labels are written."""
    step = 42.0
    width = max(320.0, SQUARE_START + step * len(shares) + 16.0)
    y = Axis(0.0, 1.0, 24.0, 180.0)
    top = 24.0 + 180.0 + 24.0
    marks, labels = [], []
    every = max(1, math.ceil(len(shares) / 20))
    for index, (name, share) in enumerate(shares):
        low, high = share.interval
        x = SQUARE_START + step * (index + 0.5)
        title = f"week of {name}: {share.hits} of {share.n} agree"
        marks.append(Mark(x, top - y.place(share.value), top - y.place(low), top - y.place(high), 4.0, title))
        if index % every == 0:
            labels.append((x, name[5:]))
    line = _points((mark.x, mark.y) for mark in marks)
    ticks = tuple((top - place, f"{float(words):.0%}".replace("%", " %")) for place, words in y.ticks)
    return Timeline(tuple(marks), line, tuple(labels), ticks, width, 236.0, SQUARE_START)


def _axis_of(
    figures: Sequence[Figure],
    reference: float | None,
    start: float,
    length: float,
    parts: int = _TICK_COUNT,
) -> Axis:
    ends = [value for own in figures for value in (own.low, own.value, own.high) if value is not None]
    ends += [reference] if reference is not None else []
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.05
    # A share is never drawn on an axis that goes beyond what a share can be.
    low = max(0.0, low - margin) if low >= 0.0 else low - margin
    high = min(1.0, high + margin) if high <= 1.0 else high + margin
    return Axis(low, high if high > low else low + 1.0, start, length, parts)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough - 1e-12)


def _words(figure: Figure, digits: int) -> str:
    value = f"{figure.value:.{digits}f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def _up(axis: Axis, value: float) -> float:
    """The same axis, standing: the drawing's rows count downwards."""
    return round(2 * axis.start + axis.length - axis.place(value) - 28.0, 2)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places)


def _square(
    marks: tuple[Mark, ...], line: str, band: str, x: Axis, y: Axis, horizontal: float | None = None
) -> Square:
    y_ticks = tuple((round(2 * y.start + y.length - place - 28.0, 2), words) for place, words in y.ticks)
    return Square(marks, line, band, tuple(x.ticks), y_ticks, x.start, x.start + x.length, horizontal)
