"""Commands of research: computed cohorts, training, measuring, and what can be used for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from suite.cli.options import DEVICE, DEVICE_HELP, FOLDER


@click.command()
@click.option("--n", "count", type=int, required=True, help="How many studies.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same cohort.")
@click.option("--size", type=int, default=512, show_default=True, help="Pixels a side.")
@click.option("--out", required=True, type=FOLDER, help="Folder for the cohort.")
@click.option(
    "--parts", default="chest", show_default=True, help="Comma list of chest, limbs, hand, knee ..."
)
@click.option(
    "--prevalence", multiple=True, metavar="CODE=SHARE", help="How often a finding occurs; all=0: none."
)
@click.option("--healthy", type=float, help="Share of patients who have nothing; 0.4 unless set.")
@click.option("--label-noise", is_flag=True, help="Labels of the manifest as text mining would leave them.")
@click.option(
    "--lateral/--no-lateral", default=True, show_default=True, help="Also the lateral film of chests."
)
@click.option("--motion", is_flag=True, help="Heart and body move between the two dual-energy exposures.")
@click.option("--dicom", is_flag=True, help="Also write each study as DICOM.")
@click.option("--workers", type=int, help="Processes; all cores unless set.")
def phantom(
    count: int,
    seed: int,
    size: int,
    out: Path,
    parts: str,
    prevalence: tuple[str, ...],
    healthy: float | None,
    label_noise: bool,
    lateral: bool,
    motion: bool,
    dicom: bool,
    workers: int | None,
) -> None:
    """Compute patients with films and the truth about them.

    Writes OUT/manifest.csv and one folder a study. A run that was stopped continues when repeated.

    \b
    Example:
      radsuite phantom --n 100 --seed 7 --size 512 --out cohort
      radsuite phantom --n 50 --parts limbs --prevalence fracture=0.3 --out mixed
    """
    from suite.commands.phantom import make_cohort

    make_cohort(
        out,
        count=count,
        seed=seed,
        size=size,
        lateral=lateral,
        motion=motion,
        dicom=dicom,
        parts=parts,
        prevalence=prevalence,
        healthy=healthy,
        label_noise=label_noise,
        workers=workers,
    )


@click.command()
@click.argument("recipe")
@click.option(
    "--data", "sources", multiple=True, metavar="NAME=DIR", help="A data set; may be given several times."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe.")
@click.option("--out", type=FOLDER, help="Folder for the results.")
@click.option("--device", type=DEVICE, default="auto", show_default=True, help=DEVICE_HELP)
@click.option("--resume", is_flag=True, help="Continue an interrupted run in OUT.")
@click.option("--submit", is_flag=True, help="Leave it to a worker (`radsuite worker --queues train`).")
def train(
    recipe: str,
    sources: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path | None,
    device: str,
    resume: bool,
    submit: bool,
) -> None:
    """Train a network by its recipe.

    Writes weights, model card and figures.

    \b
    Example:
      radsuite train lungs --data jsrt=films/jsrt --set epochs=20 --out runs/lungs
      radsuite train lungs --data jsrt=/films/jsrt --submit
    """
    if submit:
        _nothing_of_this_run(out=out, resume=resume)
        from suite.commands.submitting import submit_training_run

        submit_training_run(recipe, sources, settings)
        return
    if out is None:
        raise click.UsageError("Missing option '--out'; name the folder for the results, or use --submit.")
    from suite.commands.training import train_network

    train_network(recipe, sources, settings, out, device=device, resume=resume)


@click.command()
@click.argument("recipe")
@click.option(
    "--weights",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Given several times: a table of what each learned from against what it is measured on.",
)
@click.option(
    "--data",
    "sources",
    multiple=True,
    required=True,
    metavar="NAME=DIR",
    help="A data set; may be given several times.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one value of the weights' recipe."
)
@click.option("--out", required=True, type=FOLDER, help="Folder for the figures.")
@click.option(
    "--renew-card",
    "renew",
    is_flag=True,
    help="Also write the weights with a card whose calibrations, limits and figures are made anew, after "
    "other weights of the networks that their films go through first.",
)
def evaluate(
    recipe: str,
    weights: tuple[Path, ...],
    sources: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path,
    renew: bool,
) -> None:
    """Measure weights on the test part of data sets.

    Writes metrics.json, table.md, films.csv and worst.png. With several weights files each has a folder in
    OUT, beside cross.md and cross.csv.

    \b
    Example:
      radsuite evaluate lungs --weights runs/lungs/lungs.safetensors --data jsrt=films/jsrt --out figures
      radsuite evaluate lungs --weights a/lungs.safetensors --weights b/lungs.safetensors \\
          --data jsrt=films/jsrt --data montgomery=films/montgomery --out figures
    """
    from suite.commands.training import evaluate_network

    evaluate_network(recipe, weights, sources, settings, out, renew=renew)


@click.command()
@click.option("--data", "sources", multiple=True, metavar="NAME=DIR", help="May be repeated.")
@click.option("--out", type=FOLDER, help="Folder for tables, plots and predictions.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of the diagnosis recipe.")
@click.option("--seeds", type=int, default=5, show_default=True, help="Networks of each configuration.")
@click.option("--configurations", metavar="A,B", help="Only these; all that the data allow unless given.")
@click.option("--leave-one-out", is_flag=True, help="Also the full network without each of its inputs.")
@click.option("--subgroups", metavar="A,B", help="Also by view, age, sex, source.")
@click.option(
    "--processes", type=int, default=0, help="Networks trained side by side; one a GPU unless given."
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help=DEVICE_HELP)
@click.option("--resume", is_flag=True, help="Go on with the ablation in OUT; finished networks are kept.")
@click.option("--keep-weights", is_flag=True, help="Keep the checkpoint of each network.")
@click.option(
    "--tables-only",
    is_flag=True,
    help="Train nothing; tables of the networks finished in OUT, without --data.",
)
@click.option("--cache", type=FOLDER, help="Folder for the decoded films; OUT unless given.")
@click.option(
    "--shared",
    is_flag=True,
    help="Others may train networks of OUT too; with --submit other workers are asked to.",
)
@click.option(
    "--one", is_flag=True, help="With --shared: train one network that nobody is at, make no tables."
)
@click.option("--submit", is_flag=True, help="Leave it to a worker (`radsuite worker --queues train`).")
@click.pass_context
def ablate(
    ctx: click.Context,
    sources: tuple[str, ...],
    out: Path | None,
    settings: tuple[str, ...],
    configurations: str | None,
    subgroups: str | None,
    submit: bool,
    **options: Any,
) -> None:
    """Compare the diagnosis network in every configuration. What is each channel worth?

    The paper's four configurations and a placebo; on computed chests also the true bone image and two
    exposures. Writes table.md, table.csv, comparisons.csv, forest.png and runs/NETWORK/predictions.csv.

    \b
    Example:
      radsuite ablate --data phantom=cohort --out ablation --seeds 5 --set size=256 --set lung_source=true
      radsuite ablate --data nih=nih --out ablation --configurations dual,dual+lungs --subgroups view,sex
      radsuite ablate --data phantom=/films/cohort --seeds 3 --submit
    """
    if submit:
        _nothing_of_this_run(out=out, resume=bool(options["resume"]))
        if options["one"]:
            raise click.UsageError("--one is what a worker tells its helpers; use --shared with --submit.")
        from suite.commands.submitting import submit_ablation

        submit_ablation(sources, settings, _given(ctx, without={"sources", "out", "settings", "submit"}))
        return
    if out is None:
        raise click.UsageError("Missing option '--out'; name the folder for the results, or use --submit.")
    from suite.commands.ablation import ablate_network

    if not (sources or options["tables_only"]):
        raise click.UsageError("Missing option '--data'; name a data set, or use --tables-only.")
    names = _words(configurations)
    ablate_network(sources, settings, out, {**options, "names": names, "subgroups": _words(subgroups)})


def _given(ctx: click.Context, without: set[str]) -> dict[str, bool | int | str]:
    """The options that were typed, by their long names; device and resuming are the worker's affair."""
    found: dict[str, bool | int | str] = {}
    for option in ctx.command.params:
        name = option.name or ""
        typed = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        if typed and name not in without | {"device", "resume"}:
            value = ctx.params[name]
            found[option.opts[0].removeprefix("--")] = (
                str(value.absolute()) if isinstance(value, Path) else value
            )
    return found


def _nothing_of_this_run(*, out: Path | None, resume: bool) -> None:
    """Refuse beside --submit what only a run on this machine could heed."""
    if out is not None or resume:
        raise click.UsageError(
            "--submit goes with neither --out nor --resume: results go to the data folder, and a job goes "
            "on by itself."
        )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole model cards.")
def models(as_json: bool) -> None:
    """List the shipped weights with their figures.

    \b
    Example:
      radsuite models --json
    """
    from suite.commands.listing import list_models

    list_models(as_json=as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def datasets(as_json: bool) -> None:
    """List the data sets that can be read. Each with its licence and expected layout.

    \b
    Example:
      radsuite datasets
    """
    from suite.commands.listing import list_datasets

    list_datasets(as_json=as_json)


COMMANDS = (phantom, train, evaluate, ablate, models, datasets)
