"""``radsuite doctor``: what is installed and reachable, and what to do about what is not."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from suite.commands.console import output
from suite.errors import SuiteError
from suite.settings import PREFIX, Settings, load_settings
from suite.stages.plugins import RECIPES, STAGES, installed
from suite.stages.weights import shipped_cards

_PACKAGES = (
    *("radsuite", "torch", "torchvision", "pydicom", "highdicom", "pynetdicom", "opencv-python-headless"),
    *("Flask", "celery", "SQLAlchemy"),
)
_DECODERS = (("JPEG 2000", "openjpeg"), ("JPEG-LS", "jpeg_ls"), ("JPEG, JPEG lossless", "gdcm"))
_SECRET_WORDS = ("secret", "password", "token", "key")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, whether it is well, and what to do if not."""

    name: str
    well: bool
    detail: str
    required: bool = True


def examine(data: Path | None, *, as_json: bool) -> int:
    """Look at the installation and the service's surroundings.

    Returns:
        0 when everything required is well, else 1.
    """
    findings = list(_findings(data))
    if as_json:
        output(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        output(_table(findings))
    return 0 if all(finding.well for finding in findings if finding.required) else 1


def _table(findings: list[Finding]) -> object:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        bad = "[red]missing[/]" if finding.required else "[yellow]absent[/]"
        table.add_row("[green]ok[/]" if finding.well else bad, finding.name, escape(finding.detail))
    return table


def _findings(data: Path | None) -> Iterator[Finding]:
    yield Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield Finding("System", True, f"{platform.system()} {platform.release()}, {platform.machine()}")
    for name in _PACKAGES:
        yield _package(name)
    yield from _decoders()
    yield _device()
    yield from _stages()
    yield from _weights()
    yield from _service(data)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"pip install {name}")


def _decoders() -> Iterator[Finding]:
    for name, module in _DECODERS:
        found = find_spec(module) is not None
        detail = module if found else f"install the package that brings {module!r}"
        yield Finding(f"Decoder {name}", found, detail)
    found = find_spec("libjpeg") is not None
    missing = "12-bit JPEG Extended needs pylibjpeg-libjpeg (GPL), which is never required"
    yield Finding("Decoder 12-bit JPEG", found, "libjpeg" if found else missing, required=False)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return Finding("CUDA", True, ", ".join(names), required=False)
    return Finding("CUDA", False, "not available: everything runs on the CPU", required=False)


def _stages() -> Iterator[Finding]:
    from suite.stages.plugins import build_stage, load_stage

    for name in installed(STAGES):
        try:
            build_stage(name, load_stage(name), "cpu")
            yield Finding(f"Stage {name}", True, "loads")
        except SuiteError as error:
            # a stage whose weights nobody shipped is left out of readings, and nothing is broken
            yield Finding(f"Stage {name}", False, str(error), required="ships no weights" not in str(error))
    yield Finding("Recipes", bool(installed(RECIPES)), ", ".join(installed(RECIPES)))


def _weights() -> Iterator[Finding]:
    from suite.stages.weights import load_state

    for card in shipped_cards():
        try:
            load_state(card)
            yield Finding(f"Weights {card.name}", True, f"sha256 {card.sha256[:12]} matches")
        except SuiteError as error:
            yield Finding(f"Weights {card.name}", False, str(error))


def _service(data: Path | None) -> Iterator[Finding]:
    """The settings, and what they name; a service that was never started has no database yet."""
    from suite.jobs import probes

    try:
        settings = load_settings(data=data)
    except SuiteError as error:
        yield Finding("Settings", False, str(error))
        return
    yield Finding("Settings", True, shown(settings))
    disk = probes.disk(settings)
    try:
        clock = probes.clock_is_sane(settings, time.time())
    except OSError as error:
        remedy = f"check its rights, or name another with --data or {PREFIX}DATA"
        yield Finding(
            "Data folder", False, f"{settings.data} cannot be looked into ({error.strerror}); {remedy}"
        )
        return
    yield Finding("Data folder", disk.well, f"{settings.data}, {disk.detail}")
    told = "ahead of every file" if clock else "behind the newest file of the data folder; set it"
    yield Finding("Clock", clock, told)
    if settings.database_url is None and not (settings.data / "radsuite.sqlite3").is_file():
        yield Finding("Service", False, "was never started on this data folder", required=False)
        return
    yield from _reached(settings)


def _reached(settings: Settings) -> Iterator[Finding]:
    from suite.jobs import probes
    from suite.jobs.database import Database

    try:
        opened = Database(settings)
    except SuiteError as error:
        yield Finding("Database", False, str(error))
        return
    try:
        for probe in probes.readiness(opened, settings):
            if probe.name != "disk":
                yield Finding(probe.name.capitalize(), probe.well, probe.detail, probe.name != "workers")
    finally:
        opened.close()


def shown(settings: Settings) -> str:
    """The settings that differ from the defaults, without secrets."""
    plain = Settings.model_construct().model_dump(mode="json")
    values = settings.model_dump(mode="json")
    parts = []
    for name, value in values.items():
        if name == "data" or value == plain.get(name) or value is None:
            continue
        parts.append(f"{PREFIX}{name.upper()}={_hidden(name, value)}")
    return ", ".join(parts) or "defaults"


def _hidden(name: str, value: object) -> str:
    if any(word in name for word in _SECRET_WORDS):
        return "(hidden)"
    if name.endswith("_url"):
        try:
            return make_url(str(value)).render_as_string(hide_password=True)
        except ArgumentError:
            return "(hidden)"
    return str(value)
