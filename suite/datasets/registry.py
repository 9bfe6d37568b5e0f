"""The data sets the suite knows by name. Listing them reads no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.datasets import (
    chestxray14,
    chexpert,
    covid_lungs,
    dual_energy,
    frontal_lateral,
    inserted_pneumothorax,
    jsrt,
    mimic_cxr,
    montgomery,
    openi,
    padchest,
    painted_masks,
    phantom,
    scr,
    shenzhen,
    siim,
    site,
)
from suite.datasets.manifest import Manifest
from suite.errors import DatasetError


@dataclass(frozen=True, slots=True)
class DatasetKind:
    """A known data set.

    Attributes:
        name: what it is called on the command line.
        layout: what its folder holds.
        read: its reader.
        citation: whom to cite.
        computed: no patient was in front of its detector.
        origin: the collection its films were taken from, where other sets show films of it too, under other
            names: which film of the one is which of the other cannot be told.
    """

    name: str
    title: str
    licence: str
    layout: str
    read: Callable[[Path], Manifest]
    citation: str
    computed: bool = False
    origin: str = ""


CHESTXRAY14, JSRT = "ChestX-ray14", "JSRT"

KINDS: tuple[DatasetKind, ...] = (
    DatasetKind(
        "jsrt",
        "JSRT films, SCR outlines, BSE-JSRT bone layers",
        jsrt.LICENCE,
        jsrt.LAYOUT,
        jsrt.read,
        "Shiraishi et al. 2000 (JSRT); van Ginneken et al. 2006 (SCR); Juhász et al. 2010 (BSE-JSRT)",
        origin=JSRT,
    ),
    DatasetKind(
        "nih",
        "NIH ChestX-ray14",
        chestxray14.LICENCE,
        chestxray14.LAYOUT,
        chestxray14.read,
        chestxray14.CITATION,
        origin=CHESTXRAY14,
    ),
    DatasetKind(
        chexpert.NAME, "CheXpert", chexpert.LICENCE, chexpert.LAYOUT, chexpert.read, chexpert.CITATION
    ),
    DatasetKind(
        mimic_cxr.NAME,
        "MIMIC-CXR-JPG",
        mimic_cxr.LICENCE,
        mimic_cxr.LAYOUT,
        mimic_cxr.read,
        mimic_cxr.CITATION,
    ),
    DatasetKind(
        openi.NAME, "Open-i, Indiana University", openi.LICENCE, openi.LAYOUT, openi.read, openi.CITATION
    ),
    DatasetKind(
        padchest.NAME, "PadChest", padchest.LICENCE, padchest.LAYOUT, padchest.read, padchest.CITATION
    ),
    DatasetKind(
        site.NAME, "A site's own labelled films", site.LICENCE, site.LAYOUT, site.read, site.CITATION
    ),
    DatasetKind(
        "covid-lungs",
        "Lung masks, films from papers",
        covid_lungs.LICENCE,
        covid_lungs.LAYOUT,
        covid_lungs.read,
        "Cohen et al. 2020 (films); v7labs (masks)",
    ),
    DatasetKind(
        "frontal-lateral",
        "Frontal and lateral pairs",
        frontal_lateral.LICENCE,
        frontal_lateral.LAYOUT,
        frontal_lateral.read,
        "Cohen et al. 2020",
    ),
    DatasetKind(
        "dual-energy",
        "Dual-energy triples: standard, soft tissue, bone",
        dual_energy.LICENCE,
        dual_energy.LAYOUT,
        dual_energy.read,
        "the hospital that made them",
    ),
    DatasetKind(
        "phantom",
        "Computed chests and limbs with every truth",
        phantom.LICENCE,
        phantom.LAYOUT,
        phantom.read,
        "this suite",
        computed=True,
    ),
    DatasetKind(
        "scr",
        "JSRT films and SCR outlines as distributed",
        scr.LICENCE,
        scr.LAYOUT,
        scr.read,
        "Shiraishi et al. 2000; van Ginneken et al. 2006",
        origin=JSRT,
    ),
    DatasetKind(
        "montgomery",
        "Montgomery County films, lung outlines",
        montgomery.LICENCE,
        montgomery.LAYOUT,
        montgomery.read,
        "Jaeger et al. 2014; Candemir et al. 2014",
    ),
    DatasetKind(
        "shenzhen",
        "Shenzhen films, lung outlines",
        shenzhen.LICENCE,
        shenzhen.LAYOUT,
        shenzhen.read,
        "Jaeger et al. 2014; Stirenko et al. 2018 (outlines)",
    ),
    DatasetKind(
        "siim",
        "SIIM-ACR pneumothorax outlines",
        siim.LICENCE,
        siim.LAYOUT,
        siim.read,
        "SIIM-ACR Pneumothorax Segmentation 2019; Wang et al. 2017 (films)",
        origin=CHESTXRAY14,
    ),
    DatasetKind(
        inserted_pneumothorax.NAME,
        "Real films with and without a computed pneumothorax",
        inserted_pneumothorax.LICENCE,
        inserted_pneumothorax.LAYOUT,
        inserted_pneumothorax.read,
        "whoever made the films",
        computed=True,
        origin=CHESTXRAY14,  # as a rule; none is to be learned from here and tested on there
    ),
    DatasetKind(
        painted_masks.NAME,
        "Films with painted tissue masks",
        painted_masks.LICENCE,
        painted_masks.LAYOUT,
        painted_masks.read,
        "your own",
    ),
)


def is_computed(name: str) -> bool:
    """Whether the films of a known data set are computed; an unknown one is taken for real."""
    return any(kind.computed for kind in KINDS if kind.name == name)


def terms_of(names: Sequence[str]) -> str:
    """Name and licence of each set, for a model card."""
    licences = {kind.name: kind.licence for kind in KINDS}
    return "; ".join(f"{name}: {licences.get(name, 'see its source')}" for name in names)


def citations_of(names: Sequence[str]) -> list[str]:
    """Name and citation of each known set, for a model card."""
    citations = {kind.name: kind.citation for kind in KINDS}
    return [f"{name}: {citations[name]}" for name in names if name in citations]


def shared_origin(name: str, other: str) -> str:
    """The collection that two different sets took their films from; empty where they share none."""
    origins = {kind.name: kind.origin for kind in KINDS}
    shared = origins.get(name, "")
    return shared if name != other and shared == origins.get(other) else ""


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
