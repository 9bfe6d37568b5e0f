"""The command line. Each command declares its options here and does its work in ``suite.commands``.

Nothing heavy is imported before a command needs it: ``radsuite --help`` starts without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from suite.errors import SuiteError
from suite.version import __version__

DEVICE = click.Choice(["auto", "cpu", "cuda"])


class _Group(click.Group):
    """Turns every foreseen failure into one sentence on standard error and the error's exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SuiteError as error:
            click.echo(" ".join(str(error).split()), err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="radsuite")
def main() -> None:
    """Radiology assistant suite: reads chest radiographs, trains its own networks, serves a reading page.

    Research software, not a medical device.
    """


@main.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--lateral", metavar="FILE", help="The lateral film of the one study given.")
@click.option("--stages", metavar="A,B", help="Only these stages and what they build on.")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option("--override-gate", is_flag=True, help="Read films that the gate refuses.")
@click.option("--dicom", is_flag=True, help="Also write DICOM SR, SEG, SC and GSPS for studies that came as DICOM.")
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
    dicom: bool,
    as_json: bool,
) -> None:
    """Read films: DICOM files or folders, PNG, JPEG or TIFF (8 or 16 bit, bone bright).

    Writes OUT/STUDY/report.json and the pictures it names.

    \b
    Example:
      radsuite analyze chest.dcm --out readings
      radsuite analyze front.png --lateral side.png --out readings --json
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
            dicom=dicom,
            as_json=as_json,
        )
    )


@main.command()
@click.option("--host", help="Address to serve on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 8080 unless set.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder: studies and database."
)
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, data: Path | None) -> None:
    """Serve the reading pages and work on what is uploaded, until Ctrl-C.

    \b
    Example:
      radsuite serve --port 8080 --data ~/films
    """
    from suite.commands.serving import serve_pages

    ctx.exit(serve_pages(host=host, port=port, data=data))


@main.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
@click.option("--queues", metavar="A,B", help="Take jobs from these of cpu, gpu, train; cpu,gpu unless set.")
@click.pass_context
def worker(ctx: click.Context, data: Path | None, queues: str | None) -> None:
    """Work on queued jobs; any number of workers, on any number of machines, may share a queue.

    \b
    Example:
      radsuite worker --data ~/films
      radsuite worker --queues train
    """
    from suite.commands.serving import run_worker

    ctx.exit(run_worker(data=data, queues=queues))


@main.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"), show_default=True
)
@click.option("--studies", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--host", help="Address to serve on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 8080 unless set.")
@click.option("--serve/--no-serve", default=True, show_default=True, help="Serve the pages afterwards.")
@click.pass_context
def demo(
    ctx: click.Context, data: Path, studies: int, seed: int, host: str | None, port: int | None, serve: bool
) -> None:
    """Compute phantom studies, read them, print what is suggested, and serve them.

    \b
    Example:
      radsuite demo --no-serve
    """
    from suite.commands.demo import run_demo

    ctx.exit(run_demo(data, studies, seed, host=host, port=port, serve=serve))


@main.command()
@click.option("--n", "count", type=int, required=True, help="How many studies.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--size", type=int, default=512, show_default=True, help="Pixels a side.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the cohort."
)
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
    """Compute a cohort of patients with films and the truth about them.

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


@main.command()
@click.argument("recipe")
@click.option(
    "--data", "sources", multiple=True, metavar="NAME=DIR", help="A data set; may be given several times."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option("--resume", is_flag=True, help="Continue an interrupted run in OUT.")
def train(
    recipe: str, sources: tuple[str, ...], settings: tuple[str, ...], out: Path, device: str, resume: bool
) -> None:
    """Train a network by its recipe and write weights, model card and figures.

    \b
    Example:
      radsuite train lungs --data jsrt=films/jsrt --set epochs=20 --out runs/lungs
    """
    from suite.commands.training import train_network

    train_network(recipe, sources, settings, out, device=device, resume=resume)


@main.command()
@click.argument("recipe")
@click.option("--weights", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--data", "sources", multiple=True, required=True, metavar="NAME=DIR")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
def evaluate(
    recipe: str, weights: Path, sources: tuple[str, ...], settings: tuple[str, ...], out: Path
) -> None:
    """Measure weights on the test part of a data set: metrics.json, table.md, films.csv.

    \b
    Example:
      radsuite evaluate lungs --weights runs/lungs/lungs.safetensors --data jsrt=films/jsrt --out figures
    """
    from suite.commands.training import evaluate_network

    evaluate_network(recipe, weights, sources, settings, out)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole model cards.")
def models(as_json: bool) -> None:
    """List the shipped weights and what they were measured to do.

    \b
    Example:
      radsuite models --json
    """
    from suite.commands.listing import list_models

    list_models(as_json=as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True)
def datasets(as_json: bool) -> None:
    """List the data sets that can be read, with licence and expected layout.

    \b
    Example:
      radsuite datasets
    """
    from suite.commands.listing import list_datasets

    list_datasets(as_json=as_json)


@main.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder to look at.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, as_json: bool) -> None:
    """Say what is installed and working, and what to do about what is not.

    \b
    Example:
      radsuite doctor
    """
    from suite.commands.listing import doctor as examine

    ctx.exit(examine(data, as_json=as_json))


if __name__ == "__main__":
    sys.exit(main())
