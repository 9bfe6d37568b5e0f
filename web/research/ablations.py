"""Ablation results: the table, and forest plots of areas and of differences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from flask import Blueprint, abort, render_template

from suite.errors import UnreadableFileError
from suite.findings import CODES, NAMES
from suite.records.ablations import Ablation, AreaRow, DifferenceRow, read_ablation, result_folders
from web.research.plots import Figure, Forest, forest
from web.services import services

blueprint = Blueprint("ablations", __name__)


@blueprint.get("/research/ablations")
def index() -> str:
    """Results in the data folder, the newest first; those that cannot be read are told."""
    found: list[Ablation] = []
    damaged: list[str] = []
    for folder in result_folders(services().settings.data):
        try:
            found.append(read_ablation(folder))
        except UnreadableFileError as error:
            damaged.append(f"{folder.name}: {error}")
    return render_template("research/ablations.html", found=found, damaged=damaged)


@blueprint.get("/research/ablations/<name>")
def show(name: str) -> str:
    """One result. 404 for an unknown one."""
    own = read_ablation(_folder(name))
    known = [row for row in own.areas if not math.isnan(row.auc)]
    shown = [finding for finding in own.findings if any(row.finding == finding for row in known)]
    means = [finding for finding in shown if finding not in CODES]
    return render_template(
        "research/ablation.html",
        own=own,
        cells={(row.network, row.finding): row for row in known},
        findings=shown,
        names=NAMES,
        areas=_areas(known, [*means, *(finding for finding in shown if finding in CODES)], own.networks),
        differences=_differences(row for row in own.differences if row.finding in means[:1]),
        mean="".join(means[:1]),
        networks=own.networks,
    )


def _folder(name: str) -> Path:
    """Only folders that a look into the data folder finds: the name in the address is never a path."""
    found = [path for path in result_folders(services().settings.data) if path.name == name]
    if not found:
        abort(404, "There is no ablation result of that name; look for it in the list.")
    return found[0]


def _areas(rows: list[AreaRow], findings: list[str], networks: list[str]) -> list[tuple[str, Forest]]:
    """A plot for each finding: one line a network."""
    plots = []
    for finding in findings:
        own = {row.network: row for row in rows if row.finding == finding}
        figures = [
            Figure(name, own[name].auc, _known(own[name].low), _known(own[name].high), "", index)
            for index, name in enumerate(networks)
            if name in own
        ]
        plots.append((NAMES.get(finding, finding), forest(figures, reference=0.5)))
    return plots


def _differences(rows: Iterable[DifferenceRow]) -> Forest | None:
    figures = [
        Figure(f"{row.first} - {row.second}", row.difference, _known(row.low), _known(row.high), row.finding)
        for row in rows
        if not math.isnan(row.difference)
    ]
    return forest(figures, reference=0.0) if figures else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
