"""Make a data set of real films with and without a computed pneumothorax.

    python -m segmentation.pneumothorax.inserted --data nih=NIH --out INSERTED

Lungs and bones come from the installed stages. Films of patients who have a pneumothorax on any film of the
set are left out: they are what a network that learned from the others can be measured on. The same films, the
same weights and the same seed make the same folder.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from segmentation.pneumothorax.cases import label
from segmentation.pneumothorax.insertion import Collapse, insert
from segmentation.pneumothorax.sides import LEFT, RIGHT
from suite.datasets.inserted_pneumothorax import COLUMNS
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import open_dataset, parse_sources
from suite.errors import DatasetError, InputError, SuiteError
from suite.grid import Grid
from suite.stages.contract import Artifact
from suite.stages.plugins import load_stage
from suite.storage import make_folder, write_bytes, write_text
from suite.study import FloatImage, Mask
from suite.training.films import open_film

SMALLEST_LUNG = 0.02
"""Least share of the film that an outlined lung takes: below, there is none, or it is hidden."""

TRIES = 20
"""How often a collapse is drawn before a film is left out."""


@dataclass(frozen=True, slots=True)
class Layers:
    """A film (H, W), its bone layer (H, W) and its lung mask (H, W)."""

    film: FloatImage
    bone: FloatImage
    lungs: Mask


class LayerReader:
    """Reads films with the layers that the installed ``lungs`` and ``bone`` stages find in them.

    Raises:
        WeightsError: one of the two has no weights.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._stages: list[Any] = [load_stage(name)(device) for name in ("lungs", "bone")]

    def __call__(self, record: Record) -> Layers:
        film = open_film(record.frontal)
        found: dict[str, Artifact] = {"frontal": Artifact(film, Grid.of(film.shape))}
        for stage in self._stages:
            found |= stage.run([found])[0]
        bone, lungs = found["bone_subtracted"].value, found["lung_mask"].value
        return Layers(film.pixels, np.asarray(bone, np.float32), np.asarray(lungs))


def usable(films: Manifest) -> list[Record]:
    """Films of patients of whom every film is known to show no pneumothorax."""
    others = {record.patient_id for record in films if label(record) != 0.0}
    return [record for record in films if record.patient_id not in others]


def with_gas(layers: Layers, rng: np.random.Generator) -> tuple[FloatImage, Mask] | None:
    """The film with gas on one side, drawn at random, and the gas; ``None`` where no lung takes any."""
    fields = [layers.lungs == value for value in (RIGHT, LEFT)]
    fields = [field for field in fields if field.mean() >= SMALLEST_LUNG]
    if not fields:
        return None
    field = fields[int(rng.integers(len(fields)))]
    for _ in range(TRIES):
        made = insert(layers.film, layers.bone, field, Collapse.draw(rng))
        if made is not None:
            return made
    return None


def write(records: Sequence[Record], read: LayerReader, out: Path, seed: int) -> Iterator[bool]:
    """Write each film twice; yields after each whether it could be used, and the table at the end."""
    for folder in ("images", "masks"):
        make_folder(out / folder)
    rows: list[dict[str, str]] = []
    for place, record in enumerate(records):
        layers = read(record)
        made = with_gas(layers, np.random.default_rng([seed, place]))
        if made is not None:
            rows += _write_pair(record, layers.film, *made, out)
        yield made is not None
    if not rows:
        raise DatasetError("no film has lungs to insert a pneumothorax into; give frontal chest films.")
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / "index.csv", table.getvalue())  # last: without it there is no data set


def _write_pair(
    record: Record, film: FloatImage, changed: FloatImage, gas: Mask, out: Path
) -> list[dict[str, str]]:
    """Both films the same way, so that they differ by the gas alone."""
    rows = []
    for word, pixels, mask in (("without", film, np.zeros_like(gas)), ("with", changed, gas)):
        name = f"{Path(record.id).stem}-{word}.png"
        write_bytes(out / "images" / name, _png(np.round(pixels * 255).astype(np.uint8)))
        write_bytes(out / "masks" / name, _png(mask * np.uint8(255)))
        view = record.attributes.get("view", "")
        values = (name, record.patient_id, str(int(word == "with")), view)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _png(pixels: Mask) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


@click.command(help=__doc__)
@click.option("--data", required=True, metavar="NAME=DIR", help="Real films that say who has a pneumothorax.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--most", default=0, show_default="all", help="Most films to use.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(data: str, out: Path, most: int, seed: int, device: str) -> None:
    """Make the folder, saying how far it is."""
    try:
        if out.exists() and any(out.iterdir()):
            raise InputError(f"{out}: is not empty; name another folder.")
        ((name, folder),) = parse_sources([data]).items()
        films = usable(open_dataset(name, folder))
        rng = np.random.default_rng(seed)
        chosen = [films[index] for index in rng.permutation(len(films))[: most or None]]
        if not chosen:
            raise DatasetError(f"{name}: no film of it is known to show no pneumothorax; give another set.")
        with click.progressbar(write(chosen, LayerReader(device), out, seed), length=len(chosen)) as bar:
            used = sum(bar)
    except SuiteError as error:
        sys.exit(f"error: {error}")
    click.echo(f"{used} of {len(chosen)} films, each with and without a pneumothorax, in {out}.")


if __name__ == "__main__":
    main()
