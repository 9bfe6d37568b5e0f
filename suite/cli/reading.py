"""Commands that read films."""

from __future__ import annotations

from pathlib import Path

import click

from suite.cli.options import DEVICE, DEVICE_HELP, FILE, FOLDER, OWN_WEIGHTS_HELP


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=FOLDER, help="Folder for the results.")
@click.option("--lateral", metavar="FILE", help="The lateral film of the one study given.")
@click.option("--stages", metavar="A,B", help="Only these stages and what they build on.")
@click.option("--device", type=DEVICE, default="auto", show_default=True, help=DEVICE_HELP)
@click.option("--override-gate", is_flag=True, help="Read films that the gate refuses.")
@click.option(
    "--override-check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Read films that fail this check of the gate, as its report names it; may be repeated.",
)
@click.option(
    "--calibration", type=FOLDER, help="Read by the recalibrated cards in this folder, not those in force."
)
@click.option("--weights", multiple=True, type=FILE, help=OWN_WEIGHTS_HELP)
@click.option(
    "--heatmaps",
    metavar="METHOD",
    help="cam (in every reading), gradcam, gradcam++, layercam, scorecam ...",
)
@click.option(
    "--dicom", is_flag=True, help="Also write DICOM SR, SEG, SC and GSPS for studies that came as DICOM."
)
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
@click.pass_context
def analyze(
    ctx: click.Context,
    inputs: tuple[str, ...],
    out: Path,
    lateral: str | None,
    stages: str | None,
    device: str,
    override_gate: bool,
    checks: tuple[str, ...],
    calibration: Path | None,
    weights: tuple[Path, ...],
    heatmaps: str | None,
    dicom: bool,
    as_json: bool,
) -> None:
    """Read films and write what is found.

    Takes DICOM files or folders, PNG, JPEG or TIFF (8 or 16 bit, bone bright). Writes OUT/STUDY/report.json
    and the pictures it names; an earlier reading there is replaced.

    \b
    Example:
      radsuite analyze chest.dcm --out readings
      radsuite analyze front.png --lateral side.png --out readings --json
      radsuite analyze films --weights runs/triage/triage.safetensors --out readings
    """
    from suite.commands.analysis import analyze_films

    wanted = [name.strip() for name in stages.split(",") if name.strip()] if stages else None
    ctx.exit(
        analyze_films(
            inputs,
            out,
            lateral=lateral,
            stages=wanted,
            device=device,
            override_gate=override_gate,
            override_checks=checks,
            dicom=dicom,
            as_json=as_json,
            calibration=calibration,
            weights=weights,
            heatmaps=heatmaps,
        )
    )


COMMANDS = (analyze,)
