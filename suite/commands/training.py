"""``radsuite train`` and ``radsuite evaluate`` with their progress on the terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.commands.console import error_line, output, progress_bar
from suite.datasets.registry import parse_sources
from suite.errors import InputError


def train_network(
    recipe: str, sources: Sequence[str], settings: Sequence[str], out: Path, *, device: str, resume: bool
) -> None:
    """Train and print the figures of the test part."""
    from suite.training.command import train
    from suite.training.progress import ProgressFile

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    data = parse_sources(sources)
    with progress_bar() as progress:
        task = progress.add_task(f"Training {recipe}", total=None)
        shown = 0.0

        progress_file = ProgressFile.of_environment()

        def on_step(step: int, total: int, losses: Mapping[str, float]) -> None:
            nonlocal shown
            if progress_file is not None:
                progress_file(step, total, losses)
            if time.monotonic() - shown < 0.2 and step < total:
                return
            shown = time.monotonic()
            words = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
            progress.update(task, completed=step, total=total, description=f"Training {recipe}: {words}")

        try:
            card = train(recipe, data, settings, out, device=device, resume=resume, on_step=on_step)
        except KeyboardInterrupt:
            error_line(f"{out}: interrupted; repeat the command with --resume to go on where it last saved.")
            raise
    output((out / "table.md").read_text())
    output(f"Weights: {card.weights_path}\nModel card: {card.path}")


def evaluate_network(
    recipe: str,
    weights: Sequence[Path],
    sources: Sequence[str],
    settings: Sequence[str],
    out: Path,
    *,
    renew: bool = False,
) -> None:
    """Measure a weights file and print its table; of several, the table across data sets."""
    from suite.training.command import evaluate, evaluate_across

    data = parse_sources(sources)
    if len(weights) > 1 and renew:
        raise InputError("--renew-card makes the card of one weights file anew; give --weights once.")
    if len(weights) > 1:
        output(evaluate_across(recipe, weights, data, settings, out))
    else:
        output(evaluate(recipe, weights[0], data, settings, out, renew=renew).table())
