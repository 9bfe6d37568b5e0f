"""Commands that start the service and its workers."""

from __future__ import annotations

from pathlib import Path

import click

from suite.cli.options import FOLDER


@click.command()
@click.option("--host", help="Address to serve on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 8080 unless set.")
@click.option("--data", type=FOLDER, help="Data folder: studies and database.")
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, data: Path | None) -> None:
    """Serve the reading pages and read what is uploaded. Until Ctrl-C.

    \b
    Example:
      radsuite serve --port 8080 --data ~/films
    """
    from suite.commands.serving import serve_pages

    ctx.exit(serve_pages(host=host, port=port, data=data))


@click.command()
@click.option("--data", type=FOLDER, help="Data folder of the service.")
@click.option("--queues", metavar="A,B", help="Take jobs from these of cpu, gpu, train; cpu,gpu unless set.")
@click.pass_context
def worker(ctx: click.Context, data: Path | None, queues: str | None) -> None:
    """Work on queued jobs.

    Any number of workers, on any number of machines, may share a queue.

    \b
    Example:
      radsuite worker --data ~/films
      radsuite worker --queues train
    """
    from suite.commands.serving import run_worker

    ctx.exit(run_worker(data=data, queues=queues))


@click.command()
@click.option("--data", type=FOLDER, default=Path("demo-data"), show_default=True, help="Data folder.")
@click.option("--studies", type=click.IntRange(1, 50), default=5, show_default=True, help="How many.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same studies."
)
@click.option("--host", help="Address to serve on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 8080 unless set.")
@click.option("--serve/--no-serve", default=True, show_default=True, help="Serve the pages afterwards.")
@click.pass_context
def demo(
    ctx: click.Context, data: Path, studies: int, seed: int, host: str | None, port: int | None, serve: bool
) -> None:
    """Compute phantom studies, read them and serve them. Prints what is suggested.

    \b
    Example:
      radsuite demo --no-serve
    """
    from suite.commands.demo import run_demo

    ctx.exit(run_demo(data, studies, seed, host=host, port=port, serve=serve))


COMMANDS = (serve, worker, demo)
