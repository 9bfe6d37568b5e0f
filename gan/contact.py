"""A contact sheet: film, soft tissue and layer, true and predicted, and what is left of the bones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from suite.grid import Grid
from suite.study import FloatImage
from suite.training.gallery import shortened, shrunk

LAYER_GAIN, REST_GAIN = 4, 8
"""How much brighter than they are layers are drawn, and what is left of them, around grey; titles say it."""

TITLE_ROWS = 20
"""Pixels of the strip above a sample grid."""


@dataclass(frozen=True, slots=True, eq=False)
class ContactFilm:
    """A film with the layer that was taken from it, all (H, W) in film units.

    Attributes:
        bone: the layer that was wanted; ``None`` where nobody knows it.
        wanted: what kind of layer that is, as titles have it; BSE-JSRT's is an algorithm's, and not true.
    """

    caption: str
    film: FloatImage
    bone: FloatImage | None
    predicted: FloatImage
    wanted: str = "true"


def panels(film: ContactFilm) -> list[tuple[str, FloatImage]]:
    """The pictures of one film, with their titles, (h, w) in [0, 1].

    What is left of bone is bright where bone stayed in the soft tissue, dark where too much was taken.
    """
    shown = [("film", film.film)]
    if film.bone is not None:
        shown.append((f"{film.wanted} soft tissue", film.film - film.bone))
    shown.append(("soft tissue", film.film - film.predicted))
    if film.bone is not None:
        shown.append((f"{film.wanted} bone, {LAYER_GAIN} x", LAYER_GAIN * film.bone))
    shown.append((f"bone, {LAYER_GAIN} x", LAYER_GAIN * film.predicted))
    if film.bone is not None:
        shown.append((f"left of bone, {REST_GAIN} x", 0.5 + REST_GAIN * (film.bone - film.predicted)))
    return [(title, np.clip(shrunk(plane), 0.0, 1.0)) for title, plane in shown]


def sample_grid(films: Sequence[ContactFilm], side: int = 256) -> FloatImage:
    """The panels of films whose layers are all known as one picture in [0, 1], their titles above them.

    One row a film, each panel ``side`` pixels square.
    """
    rows = [np.hstack([Grid.of(p.shape).square().resize(side).apply(p) for _, p in panels(f)]) for f in films]
    titles = np.hstack([_title(title, side) for title, _ in panels(films[0])])
    return np.asarray(np.vstack([titles, *rows]), np.float32)


def _title(words: str, columns: int) -> FloatImage:
    """White letters on a black strip (``TITLE_ROWS``, columns)."""
    strip = np.zeros((TITLE_ROWS, columns), np.uint8)
    cv2.putText(strip, words, (4, TITLE_ROWS - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
    return np.asarray(strip / 255, dtype=np.float32)


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
