"""The command line. Each command declares its options here and does its work in ``suite.commands``.

Nothing heavy is imported before a command needs it: ``radsuite --help`` starts without torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from suite.cli_operations import COMMANDS
from suite.commands.users import tokens, users
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


main.add_command(users)
main.add_command(tokens)


@main.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--lateral", metavar="FILE", help="The lateral film of the one study given.")
@click.option("--stages", metavar="A,B", help="Only these stages and what they build on.")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option("--override-gate", is_flag=True, help="Read films that the gate refuses.")
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
@click.option("--ae-title", help="Own AE title; RADSUITE unless set.")
@click.option("--host", help="Address to listen on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 11112 unless set.")
@click.option("--allow", multiple=True, metavar="AET[@ADDRESS]", help="Who may send; may be repeated.")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file; with --key turns TLS on.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file of the certificate's key.")
@click.option("--client-ca", type=click.Path(path_type=Path), help="Demand certificates of this authority.")
@click.option("--quiet-seconds", type=float, help="A study is complete after this silence; 10 unless set.")
@click.option("--folder", type=click.Path(path_type=Path), help="Also take films from this folder.")
@click.option("--move", is_flag=True, help="Move what was taken or refused into sub-folders.")
@click.option("--folder-only", is_flag=True, help="Watch the folder and open no port.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
@click.pass_context
def listen(
    ctx: click.Context,
    ae_title: str | None,
    host: str | None,
    port: int | None,
    allow: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    client_ca: Path | None,
    quiet_seconds: float | None,
    folder: Path | None,
    move: bool,
    folder_only: bool,
    data: Path | None,
) -> None:
    """Take films by C-STORE or from a folder, hand in complete studies, send results, until Ctrl-C.

    The films are read by 'radsuite serve' or 'radsuite worker' on the same data folder.

    \b
    Example:
      radsuite listen --host 0.0.0.0 --allow PACS@10.0.0.7 --data ~/films
      radsuite listen --folder /exports --folder-only --data ~/films
    """
    from suite.commands.dicom import listen as run_listener

    ctx.exit(
        run_listener(
            folder_only=folder_only,
            ae_title=ae_title,
            listen_host=host,
            listen_port=port,
            listen_allow=allow or None,
            listen_certificate=certificate,
            listen_key=key,
            listen_client_ca=client_ca,
            quiet_seconds=quiet_seconds,
            watch_folder=folder,
            watch_move=move or None,
            data=data,
        )
    )


@main.command()
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("--to", "node", help="A node that was added with 'radsuite nodes add'.")
@click.option("--aet", help="AE title of a PACS; with --host and --port.")
@click.option("--host", help="Address of the PACS.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the PACS.")
@click.option("--tls", is_flag=True, help="Encrypt the association.")
@click.option("--stow", metavar="URL", help="Address of a DICOMweb service.")
@click.option(
    "--attempts", type=click.IntRange(1), default=3, show_default=True, help="Tries before it gives up."
)
@click.option("--again", is_flag=True, help="Also send what was sent before.")
@click.option("--pending", is_flag=True, help="Send what waits in the outbox now.")
@click.option("--retry-failed", is_flag=True, help="With --pending: also what was given up.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
@click.pass_context
def send(
    ctx: click.Context,
    inputs: tuple[str, ...],
    node: str | None,
    aet: str | None,
    host: str | None,
    port: int | None,
    tls: bool,
    stow: str | None,
    attempts: int,
    again: bool,
    pending: bool,
    retry_failed: bool,
    data: Path | None,
) -> None:
    """Send DICOM files, or the results of studies by their ids, to a PACS.

    Results that go to a node pass through the outbox: what a node that is down does not take is sent later.

    \b
    Example:
      radsuite send 1.2.826.0.1.7 --to pacs --data ~/films
      radsuite send readings/chest/dicom --aet PACS --host 10.0.0.7 --port 104
      radsuite send --pending --data ~/films
    """
    from suite.commands.dicom import send as run_send
    from suite.commands.dicom import send_pending
    from suite.dicom.network.nodes import parse_destination
    from suite.errors import InputError

    if pending:
        ctx.exit(send_pending(data=data, retry_failed=retry_failed))
    if not inputs:
        raise InputError("Name files or studies to send, or give --pending.")
    target = None if node else parse_destination("destination", aet, host, port, stow, tls=tls)
    ctx.exit(run_send(inputs, node=node, destination=target, data=data, attempts=attempts, again=again))


@main.group()
def nodes() -> None:
    """Systems that results are sent to: a PACS by C-STORE, or a DICOMweb service.

    \b
    Example:
      radsuite nodes list
    """


@nodes.command("list")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
def nodes_list(data: Path | None) -> None:
    """List the nodes, and what waits in the outbox.

    \b
    Example:
      radsuite nodes list --data ~/films
    """
    from suite.commands.dicom import list_nodes

    list_nodes(data=data)


@nodes.command("add")
@click.argument("name")
@click.option("--aet", help="AE title; with --host and --port.")
@click.option("--host")
@click.option("--port", type=click.IntRange(1, 65535))
@click.option("--tls", is_flag=True, help="Encrypt associations.")
@click.option("--stow", metavar="URL", help="Address of a DICOMweb service.")
@click.option(
    "--when",
    type=click.Choice(["always", "accepted", "abnormal", "suggested", "never"]),
    default="accepted",
    show_default=True,
    help="Which readings are sent by themselves.",
)
@click.option(
    "--finding", "findings", multiple=True, metavar="CODE", help="For 'suggested'; may be repeated."
)
@click.option(
    "--object", "objects", multiple=True, metavar="KIND", help="report, masks, images, contours, maps."
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
def nodes_add(
    name: str,
    aet: str | None,
    host: str | None,
    port: int | None,
    tls: bool,
    stow: str | None,
    when: str,
    findings: tuple[str, ...],
    objects: tuple[str, ...],
    data: Path | None,
) -> None:
    """Add a node with its rules.

    \b
    Example:
      radsuite nodes add pacs --aet PACS --host 10.0.0.7 --port 104 --when abnormal --object report
      radsuite nodes add cloud --stow https://pacs.example/dicom-web --when suggested --finding pneumothorax
    """
    from suite.commands.dicom import add_node
    from suite.dicom.network.nodes import parse_destination

    rules = {"when": when, "findings": findings, "objects": objects}
    add_node(parse_destination(name, aet, host, port, stow, tls=tls), rules, data=data)


@nodes.command("change")
@click.argument("name")
@click.argument("change", type=click.Choice(["hold", "resume", "remove"]))
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
def nodes_change(name: str, change: str, data: Path | None) -> None:
    """Hold back what is meant for a node, send again, or remove it.

    \b
    Example:
      radsuite nodes change pacs hold
    """
    from suite.commands.dicom import change_node

    change_node(name, change, data=data)


@nodes.command("check")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service.")
def nodes_check(name: str, data: Path | None) -> None:
    """Ask a node whether it answers (C-ECHO, or a search).

    \b
    Example:
      radsuite nodes check pacs
    """
    from suite.commands.dicom import check_node

    check_node(name, data=data)


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
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
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
    """Train a network by its recipe and write weights, model card and figures.

    \b
    Example:
      radsuite train lungs --data jsrt=films/jsrt --set epochs=20 --out runs/lungs
      radsuite train lungs --data jsrt=/films/jsrt --submit
    """
    if submit:
        from suite.commands.submitting import submit_training_run

        submit_training_run(recipe, sources, settings)
        return
    if out is None:
        raise click.UsageError("Missing option '--out'; name the folder for the results, or use --submit.")
    from suite.commands.training import train_network

    train_network(recipe, sources, settings, out, device=device, resume=resume)


@main.command()
@click.argument("recipe")
@click.option(
    "--weights",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Given several times: a table of what each learned from against what it is measured on.",
)
@click.option("--data", "sources", multiple=True, required=True, metavar="NAME=DIR")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
def evaluate(
    recipe: str, weights: tuple[Path, ...], sources: tuple[str, ...], settings: tuple[str, ...], out: Path
) -> None:
    """Measure weights on the test part of data sets: metrics.json, table.md, films.csv, worst.png.

    With several weights files each has a folder in OUT, beside cross.md and cross.csv.

    \b
    Example:
      radsuite evaluate lungs --weights runs/lungs/lungs.safetensors --data jsrt=films/jsrt --out figures
      radsuite evaluate lungs --weights a/lungs.safetensors --weights b/lungs.safetensors \\
          --data jsrt=films/jsrt --data montgomery=films/montgomery --out figures
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
    from suite.commands.doctor import examine

    ctx.exit(examine(data, as_json=as_json))


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
