"""``radsuite models``, ``radsuite datasets``, ``radsuite doctor``: what is here, and whether it works."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suite.commands.console import output
from suite.errors import SuiteError
from suite.stages.plugins import RECIPES, STAGES, installed
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
    """The data sets the suite can read: name, licence, expected layout."""
    from suite.datasets.registry import KINDS

    if as_json:
        fields = ("name", "title", "licence", "layout")
        output(json.dumps([{field: getattr(kind, field) for field in fields} for kind in KINDS], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "What", "Licence", "Layout"):
        table.add_column(column, overflow="fold")
    for kind in KINDS:
        table.add_row(kind.name, kind.title, kind.licence, kind.layout)
    output(table)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, whether it is well, and what to do if not."""

    name: str
    well: bool
    detail: str
    required: bool = True


def doctor(data: Path | None, *, as_json: bool) -> int:
    """Look at the installation and say what is missing.

    Returns:
        0 when everything required is well, else 1.
    """
    findings = list(_findings(data))
    if as_json:
        output(
            json.dumps(
                [
                    {"name": f.name, "well": f.well, "detail": f.detail, "required": f.required}
                    for f in findings
                ],
                indent=2,
            )
        )
    else:
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False)
        for finding in findings:
            mark = (
                "[green]ok[/]"
                if finding.well
                else "[red]missing[/]"
                if finding.required
                else "[yellow]absent[/]"
            )
            table.add_row(mark, finding.name, escape(finding.detail))
        output(table)
    return 0 if all(finding.well for finding in findings if finding.required) else 1


def _findings(data: Path | None) -> Iterator[Finding]:
    yield Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    for name in ("radsuite", "torch", "torchvision", "pydicom", "opencv-python-headless", "Flask", "celery"):
        yield _package(name)
    for name, module in (("JPEG 2000", "openjpeg"), ("JPEG-LS", "jpeg_ls"), ("JPEG, JPEG lossless", "gdcm")):
        found = find_spec(module) is not None
        yield Finding(
            f"Decoder {name}", found, module if found else f"install the package that brings {module!r}"
        )
    found = find_spec("libjpeg") is not None
    detail = (
        "libjpeg" if found else "12-bit JPEG Extended needs pylibjpeg-libjpeg (GPL), which is never required"
    )
    yield Finding("Decoder 12-bit JPEG", found, detail, required=False)
    yield _device()
    yield from _stages()
    yield from _weights()
    yield _space(data)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"pip install {name}")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("CUDA", True, torch.cuda.get_device_name(0), required=False)
    return Finding("CUDA", False, "not available: everything runs on the CPU", required=False)


def _stages() -> Iterator[Finding]:
    from suite.stages.plugins import load_stage

    for name in installed(STAGES):
        try:
            load_stage(name)("cpu")
            yield Finding(f"Stage {name}", True, "loads")
        except SuiteError as error:
            yield Finding(f"Stage {name}", False, str(error))
    yield Finding("Recipes", bool(installed(RECIPES)), ", ".join(installed(RECIPES)))


def _weights() -> Iterator[Finding]:
    from suite.stages.weights import load_state

    for card in shipped_cards():
        try:
            load_state(card)
            yield Finding(f"Weights {card.name}", True, f"sha256 {card.sha256[:12]} matches")
        except SuiteError as error:
            yield Finding(f"Weights {card.name}", False, str(error))


def _space(data: Path | None) -> Finding:
    from suite.settings import load_settings

    folder = data if data is not None else load_settings().data
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    return Finding("Data folder", free > 1.0, f"{folder}, {free:.0f} GB free")
