"""Commands of those who keep the service and its data."""

from __future__ import annotations

from pathlib import Path

import click

from suite.cli.options import FILE, FOLDER


@click.command()
@click.option("--data", type=FOLDER, help="Data folder to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, as_json: bool) -> None:
    """Say what is working, and what to do about what is not.

    \b
    Example:
      radsuite doctor
    """
    from suite.commands.doctor import examine

    ctx.exit(examine(data, as_json=as_json))


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out",
    required=True,
    type=FOLDER,
    help="Folder for the new files, not INPUT itself; inside it, its files are no input.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="OPTION",
    help="Keep characteristics (age, sex, size), device, institution, uids or dates; may be repeated.",
)
@click.option("--clean-pixels", is_flag=True, help="Blank borders and letters in the films' margins.")
@click.option("--table", is_flag=True, help="Also write deidentification.csv: what became of each attribute.")
@click.option("--secret-file", type=FILE, help="File with the secret that pseudonyms are made from.")
@click.option("--secret", envvar="RADSUITE_DEIDENTIFY_SECRET", hidden=True, help="The secret itself.")
@click.pass_context
def deidentify(
    ctx: click.Context,
    inputs: tuple[str, ...],
    out: Path,
    keep: tuple[str, ...],
    clean_pixels: bool,
    table: bool,
    secret_file: Path | None,
    secret: str | None,
) -> None:
    """Write DICOM files without their patients.

    By the basic profile of PS3.15, with dates shifted and UIDs consistent.
    Pseudonyms and shifts come from a secret, so that films of a later day fit to those of today.

    \b
    Example:
      radsuite deidentify exports/ --out research --keep characteristics --table --secret-file key
    """
    from suite.commands.deidentify import deidentify as run
    from suite.commands.deidentify import read_secret

    chosen = read_secret(secret_file) or secret
    ctx.exit(run(inputs, out, keep=keep, clean_pixels=clean_pixels, table=table, secret=chosen))


@click.command("simulate-queue")
@click.option("--data", type=FILE, help="CSV of own arrivals: arrived, minutes[, finding][, suggested].")
@click.option(
    "--arrivals-per-hour", type=float, default=10.0, show_default=True, help="Films that come in an hour."
)
@click.option("--reading-minutes", type=float, default=5.0, show_default=True, help="Mean reading time.")
@click.option("--fixed", is_flag=True, help="All readings take the same time.")
@click.option(
    "--readers", type=click.IntRange(1, 1000), default=1, show_default=True, help="Who read side by side."
)
@click.option("--shift", default="0-24", show_default=True, help="Hours of the day in which films are read.")
@click.option(
    "--prevalence",
    multiple=True,
    metavar="NAME=SHARE",
    default=("pneumothorax=0.02", "other=0.28"),
    show_default=True,
    help="Share of studies with a finding.",
)
@click.option("--sensitivity", type=float, help="Of the suggestion; the shipped triage network's unless set.")
@click.option("--specificity", type=float, help="Likewise.")
@click.option("--cap-minutes", type=float, default=240.0, show_default=True, help="Longest wait before next.")
@click.option("--hours", type=float, default=24.0 * 365, show_default=True, help="Hours to simulate.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of what is left to chance."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def simulate_queue(
    ctx: click.Context,
    data: Path | None,
    arrivals_per_hour: float,
    reading_minutes: float,
    fixed: bool,
    readers: int,
    shift: str,
    prevalence: tuple[str, ...],
    sensitivity: float | None,
    specificity: float | None,
    cap_minutes: float,
    hours: float,
    seed: int,
    as_json: bool,
) -> None:
    """Simulate how long films wait in a reading list.

    In order of arrival, by priority, and by priority with a cap.
    A mean that falls is bought by those who are not raised; look at the worst wait, too.

    \b
    Example:
      radsuite simulate-queue --arrivals-per-hour 11 --prevalence pneumothorax=0.04 --sensitivity 0.8
    """
    from suite.commands import simulation
    from suite.jobs.simulation import Assumptions

    if sensitivity is None or specificity is None:
        shipped = simulation.card_operating_point()
        sensitivity = shipped[0] if sensitivity is None else sensitivity
        specificity = shipped[1] if specificity is None else specificity
    assumed = Assumptions(
        arrivals_per_hour=arrivals_per_hour,
        reading_minutes=reading_minutes,
        prevalence=simulation.parse_prevalence(prevalence),
        sensitivity=sensitivity,
        specificity=specificity,
        hours=hours,
        exponential=not fixed,
    )
    who = simulation.Readers(readers, simulation.parse_shift(shift), cap_minutes)
    ctx.exit(simulation.simulate_queue(assumed, who, data=data, seed=seed, as_json=as_json))


@click.command()
@click.argument("file", type=FILE)
@click.option("--data", type=FOLDER, help="Data folder of the service.")
@click.pass_context
def backup(ctx: click.Context, file: Path, data: Path | None) -> None:
    """Copy database, films and readings into one file. The service may run.

    \b
    Example:
      radsuite backup backups/2026-11-21.tar --data ~/films
    """
    from suite.commands.backup import back_up

    ctx.exit(back_up(file, data=data))


@click.command()
@click.argument("file", type=FILE)
@click.option("--data", type=FOLDER, help="Empty or new data folder.")
@click.pass_context
def restore(ctx: click.Context, file: Path, data: Path | None) -> None:
    """Bring a backup back into a new data folder. Every file in it is checked first.

    \b
    Example:
      radsuite restore backups/2026-11-21.tar --data ~/films-again
    """
    from suite.commands.backup import bring_back

    ctx.exit(bring_back(file, data=data))


COMMANDS = (doctor, deidentify, simulate_queue, backup, restore)
