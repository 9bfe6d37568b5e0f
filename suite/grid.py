"""How an array came from a film's own pixel grid, and how it goes back there.

Pixel centres follow the half-pixel convention of OpenCV's ``resize`` (pixel ``i`` covers ``[i, i + 1)``), so
a point, a box or a map carried forward and back lands where it started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import cv2
import numpy as np
import numpy.typing as npt

from suite.errors import InputError

Array = npt.NDArray[Any]
Shape = tuple[int, int]
Point = tuple[float, float]
Interpolation = Literal["smooth", "nearest"]


class Step(Protocol):
    """One change of grid that can be undone."""

    def shape_after(self, shape: Shape) -> Shape: ...
    def apply(self, array: Array, interpolation: Interpolation) -> Array: ...
    def invert(self, array: Array, shape: Shape, interpolation: Interpolation) -> Array: ...
    def point_back(self, point: Point, shape: Shape) -> Point: ...
    def describe(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Pad:
    """Rows and columns of a constant added around the array."""

    top: int
    bottom: int
    left: int
    right: int
    value: float = 0.0

    def shape_after(self, shape: Shape) -> Shape:
        return shape[0] + self.top + self.bottom, shape[1] + self.left + self.right

    def apply(self, array: Array, interpolation: Interpolation) -> Array:
        return np.pad(
            array,
            ((self.top, self.bottom), (self.left, self.right)),
            constant_values=np.asarray(self.value, array.dtype),
        )

    def invert(self, array: Array, shape: Shape, interpolation: Interpolation) -> Array:
        return array[self.top : self.top + shape[0], self.left : self.left + shape[1]]

    def point_back(self, point: Point, shape: Shape) -> Point:
        return point[0] - self.left, point[1] - self.top

    def describe(self) -> str:
        return f"padded by {self.top}, {self.bottom} rows and {self.left}, {self.right} columns"


@dataclass(frozen=True, slots=True)
class Resize:
    """A change of matrix: area averaging when it shrinks, bilinear when it grows."""

    rows: int
    columns: int

    def shape_after(self, shape: Shape) -> Shape:
        return self.rows, self.columns

    def apply(self, array: Array, interpolation: Interpolation) -> Array:
        return _resize(array, (self.rows, self.columns), interpolation)

    def invert(self, array: Array, shape: Shape, interpolation: Interpolation) -> Array:
        return _resize(array, shape, interpolation)

    def point_back(self, point: Point, shape: Shape) -> Point:
        return point[0] * shape[1] / self.columns, point[1] * shape[0] / self.rows

    def describe(self) -> str:
        return f"resized to {self.rows} x {self.columns}"


def _resize(array: Array, shape: Shape, interpolation: Interpolation) -> Array:
    if array.shape[:2] == shape:
        return array
    if interpolation == "nearest":
        method = cv2.INTER_NEAREST_EXACT
    else:
        shrinks = shape[0] < array.shape[0] or shape[1] < array.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(array, (shape[1], shape[0]), interpolation=method)


@dataclass(frozen=True, slots=True)
class Grid:
    """The chain of steps from a film's grid to an array's own.

    ``Grid.of((2500, 2048)).square().resize(512)`` is a letterboxed 512 x 512 network input;
    ``apply`` takes the film there, ``invert`` brings a mask or heatmap back to 2500 x 2048.
    """

    source_shape: Shape
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, shape: Shape) -> Self:
        return cls((int(shape[0]), int(shape[1])))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape before each step, and after the last."""
        shapes = [self.source_shape]
        for step in self.steps:
            shapes.append(step.shape_after(shapes[-1]))
        return tuple(shapes)

    @property
    def shape(self) -> Shape:
        return self.shapes[-1]

    def then(self, step: Step) -> Self:
        return type(self)(self.source_shape, (*self.steps, step))

    def square(self) -> Self:
        """Padded with black to a square, the film in the middle."""
        rows, columns = self.shape
        side = max(rows, columns)
        top, left = (side - rows) // 2, (side - columns) // 2
        return self.then(Pad(top, side - rows - top, left, side - columns - left))

    def to_multiple(self, multiple: int) -> Self:
        """Padded at the bottom and right so that both sides divide by ``multiple``."""
        rows, columns = self.shape
        return self.then(Pad(0, -rows % multiple, 0, -columns % multiple))

    def resize(self, rows: int, columns: int | None = None) -> Self:
        return self.then(Resize(rows, rows if columns is None else columns))

    def apply(self, array: Array, interpolation: Interpolation = "smooth") -> Array:
        """An array (H, W) on the source grid, taken to this grid."""
        self._check(array, self.source_shape)
        for step in self.steps:
            array = step.apply(array, interpolation)
        return array

    def invert(self, array: Array, interpolation: Interpolation = "smooth") -> Array:
        """An array (h, w) on this grid, brought back to the source grid (H, W)."""
        shapes = self.shapes
        self._check(array, shapes[-1])
        for step, before in zip(reversed(self.steps), reversed(shapes[:-1]), strict=True):
            array = step.invert(array, before, interpolation)
        return np.ascontiguousarray(array)

    def point_to_source(self, point: Point) -> Point:
        """(x, y) on this grid as (x, y) on the source grid."""
        for step, before in zip(reversed(self.steps), reversed(self.shapes[:-1]), strict=True):
            point = step.point_back(point, before)
        return point

    def history(self) -> tuple[str, ...]:
        """One phrase a step, for the report's provenance."""
        return tuple(step.describe() for step in self.steps)

    def _check(self, array: Array, shape: Shape) -> None:
        if array.shape[:2] != shape:
            raise InputError(
                f"array of shape {array.shape[:2]} does not lie on this grid of {shape}; use its own grid."
            )
