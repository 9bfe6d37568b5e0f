"""Heatmaps by a method of pytorch-grad-cam on the located findings of a few films, to be measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from classifiers.diagnosis.batches import StudyBatch, row_batches
from classifiers.diagnosis.films import StudyFilms
from classifiers.localisation import LocatedMap, framed_heatmap
from classifiers.saliency import CLOSED_FORM, check_method, saliency_maps
from suite.datasets.finding_places import known_places
from suite.datasets.manifest import Record
from suite.errors import InputError
from suite.findings import CODES


def check_asked(method: str) -> str:
    """The method's name, once it can be measured beside the closed form; empty where none is asked for.

    Raises:
        InputError: it is the closed form, it is not known, or the library is not installed.
    """
    if not method.strip():
        return ""
    name = check_method(method)
    if name == CLOSED_FORM:
        raise InputError("heatmaps by cam are measured anyway; ask for another method with also_heatmaps.")
    return name


def located_studies(
    films: StudyFilms, records: Sequence[Record], planes: Sequence[str], limit: int
) -> Iterator[tuple[Record, StudyBatch]]:
    """The first ``limit`` studies that know the place of a finding, each as a batch of its own."""
    chosen = [record for record in records if known_places(record)][:limit]
    yield from zip(chosen, row_batches(films, films.rows_of(chosen), planes, 1), strict=True)


def asked_maps(
    network: nn.Module, method: str, studies: Iterable[tuple[Record, StudyBatch]], size: int
) -> list[LocatedMap]:
    """The frontal map of each located finding, in cells as fine as the closed form's.

    Args:
        network: as for ``saliency_maps``, giving ``frontal_maps`` too.
        method: one of ``classifiers.saliency.METHODS``.
        studies: records with their batches of one.
        size: side of the network's input.

    Raises:
        InputError: the method is not known, or the library is not installed.
        StageError: a map holds a number that is not finite.
    """
    found = []
    for record, batch in studies:
        rows, columns = (int(side) for side in batch.shapes[0])
        heads = [CODES.index(code) for code in known_places(record)]
        lateral = batch.lateral if bool(batch.has_lateral[0]) else None
        cells = _cells(network, batch)
        maps = saliency_maps(network, method, heads, cells, batch.frontal, lateral, views=("frontal",))
        for head, values in maps["frontal"].items():
            heatmap = framed_heatmap("frontal", np.asarray(values, np.float32), (rows, columns), size)
            found.append(LocatedMap.of(record, CODES[head], heatmap))
    return [each for each in found if each.outline.any()]


def _cells(network: nn.Module, batch: StudyBatch) -> tuple[int, int]:
    """Rows and columns of the closed form's map."""
    with torch.inference_mode():
        rows, columns = network(batch.frontal).frontal_maps.shape[-2:]
    return int(rows), int(columns)
