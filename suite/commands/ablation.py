"""``radsuite ablate``: the study of what each input channel is worth, found by entry point."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.commands.console import error_line, output
from suite.datasets.registry import parse_sources


def ablate_network(
    sources: Sequence[str], settings: Sequence[str], out: Path, options: Mapping[str, Any]
) -> None:
    """Run the study and print its table; progress goes to standard error, a line a network.

    Raises:
        InputError: an option, data set or folder that cannot be used.
    """
    from suite.stages.plugins import load_study
    from suite.training.progress import ProgressFile

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    data = parse_sources(sources)
    progress_file = ProgressFile.of_environment()
    study = load_study("ablation")()
    try:
        output(study.run(data, settings, out, options, say=error_line, on_run=progress_file))
    except KeyboardInterrupt:
        error_line(f"{out}: interrupted; the finished networks are kept: repeat the command with --resume.")
        raise
    output(f"Tables, plots and each network's predictions: {out}")
