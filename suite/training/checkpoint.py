"""Checkpoints as safetensors: weights, optimiser state and the recipe in one file, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from suite.errors import WeightsError
from suite.storage import write_bytes

FORMAT = "radsuite.checkpoint/1"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: the next epoch and step, the best validation figure and the epoch it came from."""

    epoch: int
    step: int
    best: float | None
    best_epoch: int = 0

    def exhausted(self, patience: int) -> bool:
        """Whether ``patience`` epochs (0: any number) have passed without a better figure."""
        return 0 < patience <= self.epoch - self.best_epoch and self.best is not None


def save_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    progress: Progress,
    recipe: Mapping[str, Any],
) -> None:
    """Everything a resumed run needs to continue as if it had not stopped, written atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    groups: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for index, values in state["state"].items():
            tensors |= {
                f"optimizer/{name}/{index}/{key}": torch.as_tensor(value) for key, value in values.items()
            }
    contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    metadata = {
        "format": FORMAT,
        "sha256": _digest(contiguous),
        "progress": json.dumps([progress.epoch, progress.step, progress.best, progress.best_epoch]),
        "recipe": json.dumps(dict(recipe), sort_keys=True),
        "groups": json.dumps(groups),
    }
    write_bytes(path, save(contiguous, metadata))


def load_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    recipe: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> Progress:
    """Restore modules and optimisers in place.

    Args:
        defaults: of all keys; a key that is newer than the checkpoint had its default when it was written.

    Raises:
        WeightsError: not a checkpoint of this suite, a damaged one, or one of another recipe or network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: is not a readable checkpoint ({error}); start without --resume."
        ) from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path}: is not a checkpoint of this version ({FORMAT}); start without --resume.")
    if metadata.get("sha256", "") != _digest(tensors):
        raise WeightsError(f"{path}: is damaged, its sha256 differs; start without --resume.")
    ours = json.loads(json.dumps(dict(recipe)))
    known = json.loads(json.dumps({key: (defaults or {}).get(key) for key in ours}))
    theirs = {**known, **json.loads(metadata["recipe"])}
    if theirs != ours:
        keys = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
        options = ", ".join(f"{key}={theirs.get(key)}" for key in keys)
        raise WeightsError(
            f"{path}: was made with another recipe; resume with the same --set options ({options})."
        )
    try:
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, f"module/{name}/"))
    except RuntimeError:
        raise WeightsError(
            f"{path}: holds another network than this version builds; start without --resume."
        ) from None
    groups = json.loads(metadata["groups"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(
            {"state": _optimizer_state(_under(tensors, f"optimizer/{name}/")), "param_groups": groups[name]}
        )
    return Progress(*json.loads(metadata["progress"]))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of all tensors in the order of their names."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _optimizer_state(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    return state
