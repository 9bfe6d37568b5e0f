"""The command line's help: what each command and option does is said in full on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from suite.cli import main

COLUMNS, MARGIN = 80, 2
"""click leaves a margin free on a terminal, and takes a width that a test gives as it is."""


def below(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all its sub-commands, by the words that are typed."""
    yield path, command
    if isinstance(command, click.Group):
        for name, own in command.commands.items():
            yield from below(own, (*path, name))


ALL = dict(below(main))
GROUPS = [path for path, command in ALL.items() if isinstance(command, click.Group)]


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_a_list_of_commands_cuts_no_sentence(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*path, "--help"], terminal_width=COLUMNS - MARGIN).output
    _, _, listed = told.partition("Commands:\n")
    lines = listed.splitlines()
    group = ALL[path]
    assert isinstance(group, click.Group)
    assert [line.split()[0] for line in lines] == sorted(group.commands)
    assert [line for line in lines if line.endswith("...") or len(line) > COLUMNS] == []


def test_every_option_says_what_it_is_for() -> None:
    silent = [
        f"radsuite {' '.join(path)} {option.opts[0]}"
        for path, command in ALL.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    assert silent == []
