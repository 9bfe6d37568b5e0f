"""Commands of the hospital's network: what comes in, where results go."""

from __future__ import annotations

from pathlib import Path

import click

from suite.cli.options import FOLDER


@click.command()
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
@click.option("--data", type=FOLDER, help="Data folder of the service.")
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
    """Take films by C-STORE or from a folder.

    Hands in complete studies and sends results, until Ctrl-C. The films are read by 'radsuite serve' or
    'radsuite worker' on the same data folder.

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


@click.command()
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
@click.option("--data", type=FOLDER, help="Data folder of the service.")
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
    """Send DICOM files or results to a PACS.

    Results are named by the ids of their studies. Those that go to a node pass through the outbox: what a
    node that is down does not take is sent later.

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


@click.group()
def nodes() -> None:
    """Systems that results are sent to. A PACS by C-STORE, or a DICOMweb service.

    \b
    Example:
      radsuite nodes list
    """


@nodes.command("list")
@click.option("--data", type=FOLDER, help="Data folder of the service.")
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
@click.option("--host", help="Address of the PACS.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the PACS.")
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
@click.option("--commitment", is_flag=True, help="Ask the node to commit itself to what it was sent.")
@click.option("--data", type=FOLDER, help="Data folder of the service.")
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
    commitment: bool,
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

    rules = {"when": when, "findings": findings, "objects": objects, "commitment": commitment}
    add_node(parse_destination(name, aet, host, port, stow, tls=tls), rules, data=data)


@nodes.command("change")
@click.argument("name")
@click.argument("change", type=click.Choice(["hold", "resume", "remove"]))
@click.option("--data", type=FOLDER, help="Data folder of the service.")
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
@click.option("--data", type=FOLDER, help="Data folder of the service.")
def nodes_check(name: str, data: Path | None) -> None:
    """Ask a node whether it answers (C-ECHO, or a search).

    \b
    Example:
      radsuite nodes check pacs
    """
    from suite.commands.dicom import check_node

    check_node(name, data=data)


COMMANDS = (listen, send, nodes)
