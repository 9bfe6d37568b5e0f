"""A contact sheet: film, soft tissue and layer, true and predicted, and what is left of the bones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suite.grid import Grid
from suite.study import FloatImage
from suite.training.gallery import shortened, shrunk

LAYER_GAIN = 4.0
"""Layers are drawn brighter than they are; what is left of them twice as bright again, around grey."""


@dataclass(frozen=True, slots=True, eq=False)
class ContactFilm:
    """A film with the layer that was taken from it, all (H, W) in film units.

    Attributes:
        bone: the true layer; ``None`` where nobody knows it.
    """

    caption: str
    film: FloatImage
    bone: FloatImage | None
    predicted: FloatImage


def panels(film: ContactFilm) -> list[tuple[str, FloatImage]]:
    """The pictures of one film, with their titles, in [0, 1]."""
    shown = [("film", film.film)]
    if film.bone is not None:
        shown.append(("true soft tissue", film.film - film.bone))
    shown.append(("soft tissue", film.film - film.predicted))
    if film.bone is not None:
        shown.append(("true bone", LAYER_GAIN * film.bone))
    shown.append(("bone", LAYER_GAIN * film.predicted))
    if film.bone is not None:
        shown.append(("left of bone", 0.5 + 2 * LAYER_GAIN * (film.bone - film.predicted)))
    return [(title, np.clip(shrunk(plane), 0.0, 1.0)) for title, plane in shown]


def sample_grid(films: Sequence[ContactFilm], side: int = 256) -> FloatImage:
    """The panels of films that all have a true layer, one row a film, each panel ``side`` pixels square."""
    rows = [np.hstack([Grid.of(p.shape).square().resize(side).apply(p) for _, p in panels(f)]) for f in films]
    return np.asarray(np.vstack(rows), np.float32)


def draw_contact_sheet(films: Sequence[ContactFilm], path: Path) -> None:
    """Write one row a film to a PNG at ``path``; nothing where there are none."""
    from matplotlib.figure import Figure

    if not films:
        return
    rows = [panels(film) for film in films]
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(2.6 * columns, 2.75 * len(rows)), layout="constrained")
    for down, (film, row) in enumerate(zip(films, rows, strict=True)):
        for across, (title, plane) in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, down * columns + across + 1)
            axes.imshow(plane, cmap="gray", vmin=0, vmax=1)
            label = f"{shortened(film.caption)}\n{title}" if across == 0 else title
            axes.set_title(label, fontsize=7, parse_math=False)
            axes.set_axis_off()
    figure.savefig(path, dpi=110)
