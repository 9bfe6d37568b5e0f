"""The three organ networks at an equal number of films shown and with the same settings, side by side.

    python benchmarks/organs.py --data jsrt=JSRT --out OUT --epochs 24
    python benchmarks/organs.py --data jsrt=JSRT --out OUT --epochs 2 --set width=0.125 --set size=128

Trains ``report``, ``novikov`` and ``unet`` into ``OUT/NETWORK``, by default with the widths they were
published with, and prints one table: Jaccard and the cardiothoracic ratio's error on the test films with
their 95 % intervals, parameters, and the milliseconds of one film's forward pass. Below it are the
differences, U-Net minus each other network, film by film. All intervals are of 1,000 bootstrap draws of
patients. A run that is finished is kept and an interrupted one goes on: the same command continues, and
prints the table of what is there. Further ``--data phantom=DIR`` with ``--set learn_from=both`` adds films
to learn from; what is measured stays JSRT.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch
from torch import nn

from segmentation.organs.evaluation import OVERLAPS
from segmentation.organs.network import FORMS, OrganNetwork
from segmentation.organs.training import OrgansRecipe
from suite.datasets.digests import data_digests
from suite.datasets.outlines import with_organs
from suite.datasets.registry import parse_sources
from suite.devices import resolve_device
from suite.errors import DatasetError, InputError, SuiteError
from suite.stages.weights import ModelCard, read_card, rebuild
from suite.storage import make_folder, write_text
from suite.training.command import prepare, train
from suite.training.evaluation import Figure
from suite.training.intervals import mean_figure

COMMON = {"width": "1", "learning_rate": "5e-4"}
"""What all networks share unless ``--set`` says otherwise: a rate for networks of full width, two of which
have no batch normalisation between their layers."""

REFERENCE = "unet"
REAL = ("jsrt", "scr")
"""Two copies of the same films; their test part is what is measured."""

COLUMNS = (*OVERLAPS, "ratio_error")

DATA_FILE = "data.json"
"""Digests of the sets that a run rests on, in its folder."""

Films = Mapping[str, Mapping[str, str]]
"""The row of each test film by its name, as ``films.csv`` has it."""


def settings_of(network: str, epochs: int, given: Sequence[str]) -> list[str]:
    """All settings of a run as ``key=value``; what is given wins over what is common."""
    own = dict(setting.split("=", 1) if "=" in setting else (setting, "") for setting in given)
    fixed = {"network": network, "epochs": str(epochs)}
    if clash := sorted(fixed.keys() & own.keys()):
        raise InputError(
            f"--set {clash[0]} is not for this comparison; it trains every network equally long."
        )
    return [f"{key}={value}" for key, value in {**COMMON, **own, **fixed}.items()]


def trained(sources: Mapping[str, Path], settings: list[str], folder: Path, device: str) -> ModelCard:
    """The card of one network's finished run, which is trained or continued unless it is there.

    Raises:
        InputError: the folder holds a run with other settings, or of other films.
    """
    card = folder / "organs.json"
    if not (card.is_file() and (folder / "films.csv").is_file()):
        remember_films(sources, settings, folder)
        return train("organs", sources, settings, folder, device=device, resume=True)
    found = read_card(card)
    elsewhere = {"precision", "workers", "start_from"}  # what another machine may have of its own
    for key, value in OrgansRecipe.from_settings(settings).model_dump(exclude=elsewhere).items():
        if (kept := found.content["recipe"].get(key)) != value:
            raise InputError(f"{folder}: holds a run with {key}={kept}, not {value}; give another --out.")
    remember_films(sources, settings, folder)
    return found


def remember_films(sources: Mapping[str, Path], settings: list[str], folder: Path) -> None:
    """Keep in ``folder`` which films its run learns from and is measured on, or compare with what is kept.

    Raises:
        InputError: its run is of other films, or does not say of which.
    """
    task = prepare("organs", sources, settings)
    names = {*task.learned_from(), *(name for name in REAL if name in task.data)}
    outlined = {name: with_organs(task.data[name]) for name in names if name in task.data}
    films = data_digests(sources, outlined)
    path = folder / DATA_FILE
    if path.is_file():
        if json.loads(path.read_text()) != films:
            raise InputError(f"{folder}: holds a run of other films; give the same --data or another --out.")
    elif any((folder / name).is_file() for name in ("organs.json", "last.safetensors")):
        raise InputError(f"{folder}: has no {DATA_FILE} to say which films its run saw; give another --out.")
    make_folder(folder)
    write_text(path, json.dumps(films, indent=2) + "\n")


def jsrt_films(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of a run's JSRT test films.

    Raises:
        DatasetError: there is none.
    """
    with (folder / "films.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["film"]: row for row in csv.DictReader(stream) if row["dataset"] in REAL}
    if not rows:
        raise DatasetError(
            f"{folder}: its test part holds no JSRT film; give --data jsrt=DIR with more films."
        )
    return rows


def column(films: Films, name: str) -> np.ndarray:
    """One value a film (N,); NaN where the film has none."""
    if name == "ratio_error":
        return np.abs(column(films, "ratio") - column(films, "true_ratio"))
    return np.array([float(row[name]) for row in films.values()])


def means(films: Films) -> dict[str, Figure]:
    """The mean of each of ``COLUMNS`` over films, with its interval."""
    patients = [row["patient"] for row in films.values()]
    rng = np.random.default_rng(0)
    return {name: mean_figure(column(films, name), patients, rng) for name in COLUMNS}


def differences(first: Films, second: Films) -> dict[str, Figure]:
    """Mean difference, first minus second, over the films that both have a value of.

    Raises:
        InputError: the two were not measured on the same films.
    """
    if first.keys() != second.keys():
        raise InputError("the runs were measured on different films; give another --out to train them again.")
    second = {film: second[film] for film in first}
    patients = [row["patient"] for row in first.values()]
    rng = np.random.default_rng(0)
    return {name: mean_figure(column(first, name) - column(second, name), patients, rng) for name in COLUMNS}


def forward_ms(network: nn.Module, size: int, device: str, runs: int = 20) -> float:
    """Median milliseconds of one film (1, 1, size, size) in single precision, after two calls to warm up."""
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    film = torch.rand(1, 1, size, size, device=device).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(runs + 2):
            _wait(device)
            start = time.perf_counter()
            network(film)
            _wait(device)
            times.append(time.perf_counter() - start)
    return statistics.median(times[2:]) * 1000


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def table(cards: Mapping[str, ModelCard], films: Mapping[str, Films], ms: Mapping[str, float]) -> str:
    """Both tables of the networks that are there, as Markdown."""
    head = f"{' | '.join(COLUMNS)} |"
    rule = "|---" * len(COLUMNS)
    lines = [f"| network | {head} parameters | forward ms |", f"|---{rule}|---|---|"]
    for name, card in cards.items():
        cells = " | ".join(_cell(figure, len(films[name])) for figure in means(films[name]).values())
        lines.append(f"| {name} | {cells} | {card.content['parameters']:,} | {ms[name]:.1f} |")
    if REFERENCE in films:
        lines += ["", f"| {REFERENCE} minus | {head}", f"|---{rule}|"]
        for name in (each for each in cards if each != REFERENCE):
            found = differences(films[REFERENCE], films[name]).values()
            cells = " | ".join(_cell(figure, len(films[name])) for figure in found)
            lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def _cell(figure: Figure, films: int) -> str:
    """The figure, and how many films it rests on where some have none: a ratio needs heart and lungs."""
    return f"{figure}{f' of {figure.n}' if figure.n < films else ''}"


def caption(cards: Mapping[str, ModelCard], films: Mapping[str, Films], device: str) -> str:
    """What the tables rest on, in one line."""
    recipe = next(iter(cards.values())).content["recipe"]
    shown = f"{recipe['epochs']} epochs of {recipe['films_per_epoch'] or 'all'} films"
    form = f"size {recipe['size']}, width {recipe['width']:g}, {recipe['outputs']}, {recipe['optimizer']}"
    where = "the GPU" if device == "cuda" else f"the CPU, threads: {torch.get_num_threads()}"
    count = len(next(iter(films.values())))
    return f"{count} JSRT test films; {shown}, {form}; forward pass of one film on {where}.\n"


def main() -> None:
    """Train what is missing, measure, print; write ``table.md``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, help="jsrt=DIR or scr=DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=24, help="of every network (24)")
    parser.add_argument("--networks", default=",".join(FORMS), help="names, comma between them (all)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all networks")
    parser.add_argument("--device", default="auto")
    try:
        compare(parser.parse_args())
    except SuiteError as error:
        sys.exit(f"error: {error}")


def compare(arguments: argparse.Namespace) -> None:
    """The whole comparison for parsed arguments."""
    sources, device = parse_sources(arguments.data), resolve_device(arguments.device)
    if not set(REAL) & sources.keys():
        raise DatasetError(
            "this comparison is measured on JSRT films; give --data jsrt=DIR or --data scr=DIR."
        )
    names = arguments.networks.split(",")
    runs = {name: settings_of(name, arguments.epochs, arguments.set) for name in names}
    for settings in runs.values():  # before the first one has trained for its time
        OrgansRecipe.from_settings(settings)
    make_folder(arguments.out)
    cards: dict[str, ModelCard] = {}
    films: dict[str, Films] = {}
    ms: dict[str, float] = {}
    for name, settings in runs.items():
        start = time.perf_counter()
        cards[name] = trained(sources, settings, arguments.out / name, device)
        print(f"{name}: there after {time.perf_counter() - start:.0f} s", flush=True)
        films[name] = jsrt_films(arguments.out / name)
        ms[name] = forward_ms(
            rebuild(OrganNetwork, cards[name]), cards[name].content["input"]["size"], device
        )
        text = caption(cards, films, device) + "\n" + table(cards, films, ms)
        write_text(arguments.out / "table.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
