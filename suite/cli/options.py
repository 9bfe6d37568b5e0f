"""Kinds of values that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

DEVICE = click.Choice(["auto", "cpu", "cuda"])
DEVICE_HELP = "Where networks run; auto: on the GPU where there is one."
OWN_WEIGHTS_HELP = "Weights of your own (from radsuite train) in place of shipped ones; may be repeated."
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
