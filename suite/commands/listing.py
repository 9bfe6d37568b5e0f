"""``radsuite models`` and ``radsuite datasets``: what is here, and what was measured of it."""

from __future__ import annotations

import json
from typing import Any

from suite.commands.console import output
from suite.stages.weights import shipped_cards


def list_models(*, as_json: bool) -> None:
    """The shipped weights with their headline figures, or their whole cards as JSON. Imports no torch."""
    cards = shipped_cards()
    if as_json:
        output(json.dumps([dict(card.content) for card in cards], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Model", "What", "Input", "Parameters", "Measured on held-out films", "sha256"):
        table.add_column(column, overflow="fold")
    for card in cards:
        content = card.content
        table.add_row(
            card.name,
            str(content["title"]),
            f"{content['input']['size']} px",
            f"{content['parameters']:,}",
            _headline(content["metrics"]),
            card.sha256[:12],
        )
    output(table)


def _headline(metrics: dict[str, Any]) -> str:
    parts = []
    for name, figure in list(metrics.items())[:3]:
        if figure["value"] is None:
            continue
        interval = f" ({figure['interval'][0]:.3f}-{figure['interval'][1]:.3f})" if figure["interval"] else ""
        parts.append(f"{name} {figure['value']:.3f}{interval}")
    return ", ".join(parts)


def list_datasets(*, as_json: bool) -> None:
    """The data sets the suite can read: name, licence, expected layout, whom to cite."""
    from suite.datasets.registry import KINDS

    if as_json:
        fields = ("name", "title", "licence", "layout", "citation")
        output(json.dumps([{field: getattr(kind, field) for field in fields} for kind in KINDS], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "What", "Licence", "Layout", "Cite"):
        table.add_column(column, overflow="fold")
    for kind in KINDS:
        table.add_row(kind.name, kind.title, kind.licence, kind.layout, kind.citation)
    output(table)
