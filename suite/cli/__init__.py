"""The command line. Each module declares its commands' options; the work is done in ``suite.commands``.

Nothing heavy is imported before a command needs it: ``radsuite --help`` starts without torch.
"""

from __future__ import annotations

import click

from suite.cli import calibration, network, operations, reading, research, service
from suite.commands.tokens import tokens
from suite.commands.users import users
from suite.errors import SuiteError
from suite.version import __version__


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


for _module in (reading, service, network, research, calibration, operations):
    for _command in _module.COMMANDS:
        main.add_command(_command)
main.add_command(users)
main.add_command(tokens)
