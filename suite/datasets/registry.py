"""The data sets the suite knows by name. Listing them reads no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.datasets import (
    chestxray14,
    covid_lungs,
    frontal_lateral,
    jsrt,
    montgomery,
    painted_masks,
    phantom,
    scr,
    shenzhen,
    siim,
)
from suite.datasets.manifest import Manifest
from suite.errors import DatasetError


@dataclass(frozen=True, slots=True)
class DatasetKind:
    """A known data set: what it is called on the command line, its licence, its layout, and its reader."""

    name: str
    title: str
    licence: str
    layout: str
    read: Callable[[Path], Manifest]


KINDS: tuple[DatasetKind, ...] = (
    DatasetKind(
        "jsrt", "JSRT films, SCR outlines, BSE-JSRT bone layers", jsrt.LICENCE, jsrt.LAYOUT, jsrt.read
    ),
    DatasetKind("nih", "NIH ChestX-ray14", chestxray14.LICENCE, chestxray14.LAYOUT, chestxray14.read),
    DatasetKind(
        "covid-lungs",
        "Lung masks, films from papers",
        covid_lungs.LICENCE,
        covid_lungs.LAYOUT,
        covid_lungs.read,
    ),
    DatasetKind(
        "frontal-lateral",
        "Frontal and lateral pairs",
        frontal_lateral.LICENCE,
        frontal_lateral.LAYOUT,
        frontal_lateral.read,
    ),
    DatasetKind(
        "phantom", "Computed chests and limbs with every truth", phantom.LICENCE, phantom.LAYOUT, phantom.read
    ),
    DatasetKind("scr", "JSRT films and SCR outlines as distributed", scr.LICENCE, scr.LAYOUT, scr.read),
    DatasetKind(
        "montgomery",
        "Montgomery County films, lung outlines",
        montgomery.LICENCE,
        montgomery.LAYOUT,
        montgomery.read,
    ),
    DatasetKind(
        "shenzhen", "Shenzhen films, lung outlines", shenzhen.LICENCE, shenzhen.LAYOUT, shenzhen.read
    ),
    DatasetKind("siim", "SIIM-ACR pneumothorax outlines", siim.LICENCE, siim.LAYOUT, siim.read),
    DatasetKind(
        painted_masks.NAME,
        "Films with painted tissue masks",
        painted_masks.LICENCE,
        painted_masks.LAYOUT,
        painted_masks.read,
    ),
)


def open_dataset(name: str, folder: Path) -> Manifest:
    """The manifest of ``folder``, read as data set ``name``.

    Raises:
        DatasetError: the name is unknown, the folder does not exist, or it lacks the set's layout.
    """
    for kind in KINDS:
        if kind.name == name:
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder; give the folder that holds {kind.layout}.")
            return kind.read(folder)
    known = ", ".join(kind.name for kind in KINDS)
    raise DatasetError(f"data set {name!r} is not known; use one of {known}.")


def parse_sources(options: Sequence[str]) -> dict[str, Path]:
    """``NAME=DIR`` options as a mapping.

    Raises:
        DatasetError: an option is not of that form, or a name comes twice.
    """
    sources: dict[str, Path] = {}
    for option in options:
        name, separator, folder = option.partition("=")
        if not (separator and name and folder):
            raise DatasetError(
                f"--data {option!r} is not of the form NAME=DIR; for example --data jsrt=/films/jsrt."
            )
        if name in sources:
            raise DatasetError(f"--data {name} is given twice; name each data set once.")
        sources[name] = Path(folder)
    return sources
