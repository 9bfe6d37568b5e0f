"""The table of a plain network beside the diagnosis network's given weights."""

from __future__ import annotations

from collections.abc import Mapping

from classifiers.ablation.predictions import Scored
from classifiers.ablation.statistics import ROWS, summarise
from classifiers.ablation.tables import area_cell, grid, interval_cell, p_cell

GIVEN, PLAIN = "given", "plain"


def table(name: str, scored: Mapping[str, Scored]) -> str:
    """Areas of both networks on the test films of the set ``name``, and given minus plain.

    Raises:
        StorageError: both were not measured on the same films.
    """
    found = summarise({kind: [own] for kind, own in scored.items()}, comparisons=[(GIVEN, PLAIN)])
    differences = {each.finding: each for each in found.differences}
    rows = []
    for row in ROWS:
        areas = [found.areas[kind][row] for kind in (GIVEN, PLAIN)]
        difference = differences.get(row)
        compared = ["-", "", ""]
        if difference is not None:
            compared = [interval_cell(difference), p_cell(difference.p), p_cell(difference.p_holm)]
        rows.append([row, str(areas[0].positives), *map(area_cell, areas), *compared])
    columns = ["finding", "positive", GIVEN, PLAIN, f"{GIVEN} - {PLAIN}", "p", "p (Holm)"]
    return (
        f"\n## {found.studies} films of {found.patients} patients of {name}\n\n"
        "Areas with 95 % intervals by bootstrap over patients; differences by DeLong's paired test, those of "
        "means by bootstrap over patients; p by Holm over the rows.\n\n" + grid(columns, rows) + "\n"
    )
