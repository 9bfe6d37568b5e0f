"""``radsuite analyze``: films in, one folder with report and pictures a study out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.commands.console import error_line, output, progress_bar
from suite.errors import SuiteError
from suite.file_kinds import FileKind, file_kind, read_head
from suite.findings import UNPAIRED
from suite.intake import StudyFiles, collect
from suite.report.folder import check_holds_only_a_reading
from suite.report.withheld import has_score_only, reasons, without_probability
from suite.stages.override import check_override, known_checks
from suite.storage import check_writable

if TYPE_CHECKING:
    from rich.table import Table

    from suite.analysis import Analyzer
    from suite.reading import Reading


@dataclass(slots=True)
class Outcome:
    """What became of a call: reports that were written, and the failures, each already told to the user."""

    reports: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int = 0

    def failed(self, error: SuiteError) -> None:
        """Bad input outranks nothing; a failure of the suite outranks bad input."""
        error_line(str(error))
        self.exit_code = 1 if error.exit_code == 1 or self.exit_code == 1 else error.exit_code


def analyze_films(
    inputs: Sequence[str],
    out: Path,
    *,
    lateral: str | None,
    stages: Sequence[str] | None,
    device: str,
    override_gate: bool,
    dicom: bool,
    as_json: bool,
    override_checks: Collection[str] = (),
    calibration: Path | None = None,
    weights: Sequence[Path] = (),
    heatmaps: str | None = None,
) -> int:
    """Read all studies among ``inputs``; a bad file is reported and does not stop the rest.

    Args:
        override_gate: read films whatever the gate says.
        override_checks: names of the gate's checks that films may fail.
        calibration: folder of recalibrated cards; ``None``: the one that the settings put in force.
        weights: files of one's own in place of shipped ones.
        heatmaps: the method; ``None``: the one of every reading.

    Returns:
        Exit status: 0, 2 when an input was refused, 1 when the suite failed.

    Raises:
        InputError: a check to override is none of the gate's, or no stage reads such weights.
        WeightsError: the card of such weights cannot be read.
    """
    check_override(override_checks, known_checks())  # once, and before a film is opened or a network loaded
    outcome = Outcome()
    found = collect(inputs, lateral=lateral)
    for refusal in found.refused:
        outcome.failed(refusal.error)
    if found.skipped:
        error_line(_passed_over(found.skipped))
    if found.studies:
        check_writable(out)  # before the networks are loaded and a film is read for nothing
        from suite.analysis import Analyzer
        from suite.settings import load_settings
        from suite.stages.weights import own_weights

        chosen = calibration or load_settings().calibration
        with own_weights(weights):
            analyzer = Analyzer(stages, device, calibration=chosen, heatmaps=heatmaps)
            for name in analyzer.faults:
                error_line(f"left out: {name}")
            override = override_gate or override_checks
            _analyze_all(analyzer, found.studies, out, outcome, override_gate=override, dicom=dicom)
    if as_json:
        output(json.dumps(outcome.reports, indent=2))
    elif outcome.reports:
        output(table_of(outcome.reports))
    return outcome.exit_code


def _passed_over(paths: Sequence[str]) -> str:
    """Files of a folder that are no images, in a sentence: a film may be among them under a wrong name."""
    named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return f"passed over, because the content is no DICOM, PNG, JPEG or TIFF: {named}."


def _analyze_all(
    analyzer: Analyzer,
    studies: Iterable[StudyFiles],
    out: Path,
    outcome: Outcome,
    *,
    override_gate: bool | Collection[str],
    dicom: bool,
) -> None:
    listed = list(studies)
    with progress_bar() as progress:
        task = progress.add_task("Reading", total=len(listed) * len(analyzer.stage_names))
        for position, files in enumerate(listed, start=1):
            progress.update(task, description=f"{files.id} ({position} of {len(listed)})")
            try:
                reading = _analyze_one(
                    analyzer, files, out, outcome, override_gate, lambda: progress.advance(task)
                )
                if dicom and reading is not None:
                    _write_dicom(reading, files, out / files.id)
            except SuiteError as error:
                outcome.failed(error)
            progress.update(task, completed=position * len(analyzer.stage_names))


def _analyze_one(
    analyzer: Analyzer,
    files: StudyFiles,
    out: Path,
    outcome: Outcome,
    override_gate: bool | Collection[str],
    advance: Any,
) -> Reading | None:
    """The reading, written; ``None`` when none of the films could be read, which was told to the user."""
    study, refused = files.load_or_refuse()
    for refusal in refused:
        outcome.failed(refusal.error)
    if study is None:
        return None

    def on_progress(_stage: str, state: str) -> None:
        if state == "finished":
            advance()

    check_holds_only_a_reading(out / files.id)  # before the film is read for nothing
    reading = analyzer.run(study, override_gate=override_gate, on_progress=on_progress)
    reading.write(out / files.id)
    outcome.reports.append(dict(reading.report))
    return reading


def _write_dicom(reading: Reading, files: StudyFiles, folder: Path) -> None:
    """SR, SEG and SC beside the report; only a study that came as DICOM has the headers they need."""
    if files.frontal is None or reading.report["images"] is None:
        return
    if file_kind(read_head(files.frontal, str(files.frontal))) is not FileKind.DICOM:
        error_line(
            f"{files.id}: came as a picture, without the headers DICOM objects need; none were written."
        )
        return
    from suite.dicom.writing import write_dicom

    write_dicom(reading.report, reading.images, files.frontal, folder / "dicom")


def table_of(
    reports: Sequence[dict[str, Any]], extra: tuple[str, Callable[[dict[str, Any]], str]] | None = None
) -> Table:
    """One line a study: what the gate said, how abnormal, what is suggested; ``extra`` adds a column."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ["Study", "Gate", "Abnormal", "Suggested findings (probability, where)"]
    for column in [*columns[:1], *([extra[0]] if extra else []), *columns[1:]]:
        table.add_column(column, overflow="fold")
    for report in reports:
        middle = [extra[1](report)] if extra else []
        cells = (_gate(report), _abnormal(report), _suggested(report))
        # brackets in a message are its own, not rich's markup
        table.add_row(report["study"]["id"], *map(escape, (*middle, *cells)))
    table.caption = escape(_without_probability(reports)) or None
    table.caption_justify = "left"
    return table


def _without_probability(reports: Sequence[dict[str, Any]]) -> str:
    """A line for each reason why findings have a score and no probability, and which they are."""
    return "\n".join(reasons(finding for report in reports for finding in report["findings"] or ()))


def _gate(report: dict[str, Any]) -> str:
    gate = report["gate"]
    if gate is None:
        return "-"
    if gate["accepted"]:
        return "accepted"
    return ("overridden: " if gate["overridden"] else "refused: ") + " ".join(gate["reasons"])


def _abnormal(report: dict[str, Any]) -> str:
    triage = report["triage"]
    if triage is None:
        return "-"
    low, high = triage["interval"]
    return f"{triage['probability']:.2f} ({low:.2f}-{high:.2f}) {triage['state']}"


def _suggested(report: dict[str, Any]) -> str:
    findings = report["findings"]
    if findings is None:
        return "-"
    suggested = sorted((f for f in findings if f["state"] == "suggested"), key=lambda f: -f["probability"])
    parts = []
    for finding in suggested:
        placed = finding["regions"] and finding["code"] not in UNPAIRED
        zone = f", {finding['regions'][0]['zone']}" if placed else ""
        parts.append(f"{finding['name']} {finding['probability']:.2f}{zone}")
    withheld = sum(map(has_score_only, findings))
    if not parts and any(finding["probability"] is not None for finding in findings):
        parts.append("none")
    if withheld:
        parts.append(without_probability(withheld))
    return "; ".join(parts) or "none"
