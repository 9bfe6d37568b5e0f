"""The tables of an ablation: ``table.md``, ``table.csv``, ``comparisons.csv``; beside them ``forest.png``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from classifiers.ablation.areas import Area
from classifiers.ablation.differences import Difference
from classifiers.ablation.forest import forest_plot
from classifiers.ablation.plan import LEAVE_ONE_OUT, VARIANTS
from classifiers.ablation.statistics import ALL, ROWS, Statistics
from suite.findings import CODES
from suite.storage import make_folder, write_text
from suite.training.subgroups import LEAST

ONE_SEED = (
    "**Where a network has one seed, the luck of its training is in no interval: trained again it would "
    "differ.**"
)
POOLED = (
    "**Studies of {sets} are ranked together: where the sets differ in how often a finding is there, a "
    "network that tells the sets apart gains area by it. `--subgroups source` gives the areas in each set.**"
)
_MEANINGS = {variant.name: variant.meaning for variant in (*VARIANTS, *LEAVE_ONE_OUT)}


def write_all(out: Path, statistics: Statistics, head: Sequence[str]) -> str:
    """Write every table and plot into ``out``; returns the text of ``table.md``.

    Args:
        head: lines that say what was trained on what.
    """
    make_folder(out)
    text = markdown(statistics, head)
    write_text(out / "table.md", text)
    write_text(out / "table.csv", _table_csv(statistics))
    write_text(out / "comparisons.csv", _comparisons_csv(statistics.differences))
    means = {f"mean_auc {name}": own[ALL].figure.as_json() for name, own in statistics.areas.items()}
    write_text(out / "metrics.json", json.dumps(means, indent=2) + "\n")
    forest_plot(statistics).savefig(out / "forest.png", dpi=110)
    return text


def markdown(statistics: Statistics, head: Sequence[str]) -> str:
    """The whole of ``table.md``."""
    names = list(statistics.areas)
    parts = [
        "\n".join(["# Ablation", "", *head]),
        _bullets(
            f"**{name}** ({_seeds(statistics.seeds[name])}): {_MEANINGS.get(name, name)}" for name in names
        ),
        "## Area under the ROC curve\n\nMean over seeds, 95 % interval by bootstrap over patients.\n\n"
        + (POOLED.format(sets=" and ".join(statistics.sets)) + "\n\n" if len(statistics.sets) > 1 else "")
        + grid(
            ["finding", "positive", *names],
            [_area_row(row, statistics.areas) for row in ROWS] + [_deviation_row(statistics.areas)],
        ),
    ]
    if statistics.differences:
        parts += _comparisons(statistics)
    if statistics.hits:
        parts.append(_pointing(statistics.hits))
    if statistics.subgroups:
        parts.append(_subgroups(statistics))
    return "\n\n".join(parts) + "\n"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _comparisons(statistics: Statistics) -> list[str]:
    """The questions that the ablation is made for, and every difference."""
    lone = ONE_SEED + "\n\n" if min(statistics.seeds.values()) < 2 else ""
    questions = grid(
        ["first - second", "mean of all", "", "fracture", ""], _questions(statistics.differences)
    )
    differences = grid(
        ["first - second", "finding", "difference (95 %)", "p", "p (Holm)"],
        [_difference_row(difference) for difference in statistics.differences],
    )
    return [
        "## Which inputs help?\n\nA difference is shown where its 95 % interval leaves out 0; for "
        f"fracture, where p after Holm's correction is below 0.05.\n\n{lone}{questions}",
        "## Differences\n\nDeLong's paired test, the spread over seeds added; p by Holm over all rows. "
        f"Differences of means: bootstrap over patients and seeds.\n\n{differences}",
    ]


def _pointing(hits: Mapping[str, Mapping[str, float]]) -> str:
    """How often the maps point at the findings, by network; ``chance`` is among them."""
    findings = [code for code in CODES if code in hits["chance"]]
    rows = [[code, *(_number(own.get(code)) for own in hits.values())] for code in findings]
    return (
        "## Does the frontal map point at the finding?\n\nShare of studies in which the map's highest "
        "cell holds part of the finding, mean over seeds; chance: the share of cells that do.\n\n"
    ) + grid(["finding", *hits], rows)


def _subgroups(statistics: Statistics) -> str:
    names = list(statistics.areas)
    rows = [
        [group, str(count), str(means[names[0]].figure.n), *(area_cell(means[name]) for name in names)]
        for group, (count, means) in statistics.subgroups.items()
    ]
    return (
        f"## Subgroups\n\nMean area over the findings that at least {LEAST} studies of the group have and as "
        "many have not; 95 % interval by bootstrap over patients. Groups differ in their findings: compare "
        "networks within a group, not one group with another.\n\n"
    ) + grid(["group", "studies", "findings", *names], rows)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _area_row(row: str, areas: Mapping[str, Mapping[str, Area]]) -> list[str]:
    first = next(iter(areas.values()))[row]
    return [row, str(first.positives), *(area_cell(own[row]) for own in areas.values())]


def area_cell(area: Area) -> str:
    """An area with its interval; a dash where there is none."""
    figure = area.figure
    if math.isnan(figure.value):
        return "-"
    return f"{figure.value:.3f} ({figure.low:.3f} - {figure.high:.3f})"


def _deviation_row(areas: Mapping[str, Mapping[str, Area]]) -> list[str]:
    return [
        "deviation of the first mean over seeds",
        "",
        *(_number(own[ALL].seed_deviation) for own in areas.values()),
    ]


def _questions(differences: Sequence[Difference]) -> list[list[str]]:
    """A row a comparison: what it says of the mean and of fracture."""
    pairs = list(dict.fromkeys((d.first, d.second) for d in differences))
    rows = []
    for pair in pairs:
        cells = [" - ".join(pair)]
        for finding in (ALL, "fracture"):
            own = next((d for d in differences if (d.first, d.second, d.finding) == (*pair, finding)), None)
            cells += ["-", ""] if own is None else [interval_cell(own), _verdict(own)]
        rows.append(cells)
    return rows


def _verdict(difference: Difference) -> str:
    """Whether the first or the second is better, as far as was shown."""
    shown = difference.p_holm < 0.05 if not math.isnan(difference.p) else difference.low * difference.high > 0
    if not shown:
        return "not shown"
    return "better" if difference.value > 0 else "worse"


def interval_cell(difference: Difference) -> str:
    """A difference with its sign and its interval."""
    if math.isnan(difference.low):
        return f"{difference.value:+.3f} (-)"
    return f"{difference.value:+.3f} ({difference.low:+.3f} - {difference.high:+.3f})"


def _difference_row(difference: Difference) -> list[str]:
    return [
        f"{difference.first} - {difference.second}",
        difference.finding,
        interval_cell(difference),
        p_cell(difference.p),
        p_cell(difference.p_holm),
    ]


def p_cell(value: float) -> str:
    """A p value; empty where there is none."""
    if math.isnan(value):
        return ""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


def _table_csv(statistics: Statistics) -> str:
    rows = [
        (name, row, area.figure.value, area.figure.low, area.figure.high, area.seed_deviation,
         statistics.seeds[name], area.figure.n, area.positives,
         statistics.hits.get(name, {}).get(row, math.nan),
         statistics.hits.get("chance", {}).get(row, math.nan))
        for name, own in statistics.areas.items()
        for row, area in own.items()
    ]  # fmt: skip
    columns = ("network", "finding", "auc", "low", "high", "seed_deviation", "seeds", "n", "positives",
               "hit_rate", "hit_rate_by_chance")  # fmt: skip
    return _csv(columns, rows)


def _comparisons_csv(differences: Sequence[Difference]) -> str:
    rows = [(d.first, d.second, d.finding, d.value, d.low, d.high, d.p, d.p_holm) for d in differences]
    return _csv(("first", "second", "finding", "difference", "low", "high", "p", "p_holm"), rows)
