"""The commands of those who keep the service and its data; :mod:`suite.cli` adds them to its own."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=FOLDER, help="Folder for the new files.")
@click.option(
    "--keep",
    multiple=True,
    metavar="OPTION",
    help="Keep characteristics (age, sex, size), device, institution, uids or dates; may be repeated.",
)
@click.option("--clean-pixels", is_flag=True, help="Blank borders and letters in the films' margins.")
@click.option("--table", is_flag=True, help="Also write deidentification.csv: what became of each attribute.")
@click.option("--secret-file", type=FILE, help="File with the secret that pseudonyms are made from.")
@click.option("--secret", envvar="RADSUITE_DEIDENTIFY_SECRET", hidden=True)
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
    """Write DICOM files without their patients: basic profile of PS3.15, dates shifted, UIDs consistent.

    Pseudonyms and shifts come from a secret, so that films of a later day fit to those of today.

    \b
    Example:
      radsuite deidentify exports/ --out research --keep characteristics --table --secret-file key
    """
    from suite.commands.deidentify import deidentify as run
    from suite.commands.deidentify import read_secret

    chosen = read_secret(secret_file) or secret
    ctx.exit(run(inputs, out, keep=keep, clean_pixels=clean_pixels, table=table, secret=chosen))


COMMANDS = (deidentify,)
