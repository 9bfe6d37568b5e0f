"""The command that calibrates on a site's own films."""

from __future__ import annotations

from pathlib import Path

import click

from suite.cli.options import DEVICE, DEVICE_HELP, FILE, FOLDER, OWN_WEIGHTS_HELP


@click.command()
@click.option(
    "--data", "sources", multiple=True, metavar="NAME=DIR", help="A labelled data set; may be repeated."
)
@click.option(
    "--films",
    type=click.Path(path_type=Path),
    help="Your own table (file, patient_id, abnormal, codes of findings), or the folder of its films.csv.",
)
@click.option("--out", type=FOLDER, help="Folder for the recalibrated cards and the report.")
@click.option("--stage", "stages", multiple=True, metavar="NAME", help="triage, diagnosis; all unless given.")
@click.option("--weights", multiple=True, type=FILE, help=OWN_WEIGHTS_HELP)
@click.option(
    "--rule",
    default="youden",
    show_default=True,
    metavar="RULE",
    help="Operating points: youden, sensitivity=0.95 or specificity=0.9.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "platt", "temperature", "isotonic"]),
    default="auto",
    show_default=True,
    help="How probabilities are fitted; auto: Platt's, or isotonic where many films say it is better.",
)
@click.option(
    "--part",
    type=click.Choice(["auto", "all", "train", "validation", "test"]),
    default="auto",
    show_default=True,
    help="Of each set; auto: all, but only the test part of a set that the weights learned from.",
)
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many films; 0: all.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of folds, resampling and --limit."
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help=DEVICE_HELP)
@click.option("--override-gate", is_flag=True, help="Also use films that the gate refuses.")
@click.option("--apply", "in_force", is_flag=True, help="Put the new cards in force, in the data folder.")
@click.option("--withdraw", is_flag=True, help="Only take out of force what --apply put in.")
@click.option("--service-data", type=FOLDER, help="Data folder of the service, for --apply and --withdraw.")
@click.pass_context
def calibrate(
    ctx: click.Context,
    sources: tuple[str, ...],
    films: Path | None,
    out: Path | None,
    stages: tuple[str, ...],
    weights: tuple[Path, ...],
    rule: str,
    method: str,
    part: str,
    limit: int,
    seed: int,
    device: str,
    override_gate: bool,
    in_force: bool,
    withdraw: bool,
    service_data: Path | None,
) -> None:
    """Fit probabilities to a site's own labelled films.

    Of triage and diagnosis, with their operating points.
    Writes OUT/STAGE.json (the recalibrated cards), calibration.md (before and after), diagrams and films.csv.
    The cards hold once they are put in force: with --apply, or with the setting calibration_folder.

    \b
    Example:
      radsuite calibrate --films ours/films.csv --rule sensitivity=0.95 --out calibration
      radsuite calibrate --data chexpert=films/CheXpert-v1.0-small --part validation --out calibration --apply
      radsuite calibrate --films ours/films.csv --stage triage --weights own/triage.safetensors --out site
      radsuite calibrate --withdraw
    """
    from suite.commands.calibration import calibrate_stages, withdraw_calibration

    if withdraw:
        withdraw_calibration(service_data)
        return
    if out is None or not (sources or films):
        raise click.UsageError("Give labelled films with --data or --films, and --out for the results.")
    status = calibrate_stages(
        sources,
        films,
        out,
        stages=stages,
        weights=weights,
        rule=rule,
        method=method,
        part=part,
        limit=limit,
        seed=seed,
        device=device,
        override_gate=override_gate,
        in_force=in_force,
        service_data=service_data,
    )
    ctx.exit(status)


COMMANDS = (calibrate,)
