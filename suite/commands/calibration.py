"""``radsuite calibrate`` with its progress on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.commands.console import error_line, output, progress_bar
from suite.datasets.registry import open_dataset, parse_sources
from suite.datasets.site import read, read_site_table
from suite.errors import InputError
from suite.settings import load_settings


def calibrate_stages(
    sources: Sequence[str],
    films: Path | None,
    out: Path,
    *,
    stages: Sequence[str],
    weights: Sequence[Path],
    rule: str,
    method: str,
    part: str,
    limit: int,
    seed: int,
    device: str,
    override_gate: bool,
    in_force: bool,
    service_data: Path | None,
) -> int:
    """Calibrate, print the table, and put the cards in force if asked to.

    Args:
        weights: files of one's own in place of shipped ones.

    Returns:
        Exit status: 0, or 1 when a stage could not be calibrated.

    Raises:
        InputError: no stage reads such weights, or cards of them are to be put in force.
        WeightsError: the card of such weights cannot be read.
    """
    from suite.calibration.command import Films, calibrate
    from suite.calibration.contract import CalibrationPlan
    from suite.stages.weights import own_weights

    if weights and in_force:
        raise InputError(
            "--apply puts cards in force for the weights that are installed, and these would be fitted to "
            "--weights; leave --apply out, and give the cards to radsuite analyze with --calibration."
        )
    manifests = [open_dataset(name, folder) for name, folder in parse_sources(sources).items()]
    if films is not None:
        manifests.append(read(films) if films.is_dir() else read_site_table(films))
    with own_weights(weights), progress_bar() as progress:
        task = progress.add_task("Reading films", total=None)
        outcome = calibrate(
            Films(manifests, part, limit),
            stages or None,
            CalibrationPlan(rule, method, seed=seed),
            out,
            device=device,
            override_gate=override_gate,
            on_film=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for line in outcome.left_out[:5]:
        error_line(f"left out: {line}")
    if len(outcome.left_out) > 5:
        error_line(f"left out: {len(outcome.left_out) - 5} more, in {out / 'left_out.txt'}")
    for fault in outcome.faults:
        error_line(fault)
    output(outcome.table)
    output("\n".join(f"Recalibrated card: {card}" for card in outcome.cards))
    if in_force:
        _apply(outcome.cards, service_data)
    elif weights:
        given = " ".join(f"--weights {path}" for path in weights)
        output(f"Read by them with radsuite analyze INPUT... {given} --calibration {out} --out DIR.")
    else:
        output(
            "Not in force yet: use --apply, or set RADSUITE_CALIBRATION_FOLDER to a folder of these cards."
        )
    return 1 if outcome.faults else 0


def _apply(cards: Sequence[Path], service_data: Path | None) -> None:
    from suite.calibration.in_force import FOLDER, apply

    settings = load_settings(data=service_data)
    folder = apply(cards, settings.data / FOLDER)
    output(f"In force: {folder}; start radsuite serve and its workers anew.")
    if settings.calibration != folder:
        error_line(
            f"The setting calibration_folder names {settings.calibration}, which goes before {folder}."
        )


def withdraw_calibration(service_data: Path | None) -> None:
    """Take out of force what ``--apply`` put in."""
    from suite.calibration.in_force import FOLDER, withdraw

    folder = load_settings(data=service_data).data / FOLDER
    if withdraw(folder):
        output(f"Taken out of force: {folder}; start radsuite serve and its workers anew.")
    else:
        output(f"{folder}: no calibration is in force there.")
