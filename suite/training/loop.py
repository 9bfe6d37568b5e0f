"""The training loop, whole and visible. A task brings model, data and loss; the loop brings the order."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler
from torch.utils.data.distributed import DistributedSampler
from torch.utils.tensorboard import SummaryWriter

from suite.devices import quick_arithmetic, resolve_device
from suite.errors import DatasetError
from suite.storage import make_folder
from suite.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from suite.training.precision import Precision
from suite.training.task import Batch, Task

LOGGER = logging.getLogger(__name__)

OnStep = Callable[[int, int, Mapping[str, float]], None]
"""Called after each step with (steps done, steps in all, losses)."""

Best = tuple[float | None, int]
"""The best validation figure so far (greater is better) and the epoch that reached it, counted from 1."""


def derived_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all parts, the same on every machine."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class SeededDataset(Dataset[Batch]):
    """Gives every item its own random stream, so that workers and resuming change nothing."""

    def __init__(self, dataset: Dataset[Batch], seed: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Batch:
        if not getattr(self.dataset, "draws", True):
            return self.dataset[index]  # indices of a bank: a stream for each would take longer than a step
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, self.epoch, index))
            return self.dataset[index]


class EpochSampler(Sampler[int]):
    """A permutation that is a pure function of seed and epoch."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "order", self.epoch))
        return iter(torch.randperm(self.length, generator=generator).tolist())


@dataclass(slots=True)
class Run:
    """The moving parts of one training run."""

    task: Task
    fabric: Fabric
    wrapped: dict[str, Any]
    optimizers: dict[str, Any]
    plain_optimizers: dict[str, Optimizer]
    average: AveragedModel | None
    base_rates: dict[str, list[float]]

    @property
    def stored_modules(self) -> dict[str, nn.Module]:
        extra: dict[str, nn.Module] = {"average": self.average} if self.average is not None else {}
        return {**self.task.modules, **extra}

    @property
    def best_model(self) -> nn.Module:
        """The network that is measured and shipped: the moving average where there is one."""
        return self.average.module if self.average is not None else self.task.modules["model"]


def fit(
    task: Task, out: Path, *, device: str = "auto", resume: bool = False, on_step: OnStep | None = None
) -> nn.Module:
    """Train ``task`` by its recipe and return the network that did best on the validation part.

    ``out`` receives ``last.safetensors`` (to resume from), ``best.safetensors`` and a TensorBoard log. An
    interrupted run that is resumed gives the same weights as one that was not. The run ends early when the
    recipe's ``patience`` is exhausted.

    Raises:
        WeightsError: ``resume`` finds a checkpoint of another recipe.
        DatasetError: the training part has no films.
        StorageError: ``out`` cannot be written to.
        InputError: CUDA was asked for and is not there.
    """
    if resolve_device(device) == "cuda":
        quick_arithmetic()
    make_folder(out)
    run = _prepare(task, device)
    loader, dataset, sampler = _loader(task, run.fabric)
    total = len(loader) * task.recipe.epochs
    progress = Progress(0, 0, None)
    last = out / "last.safetensors"
    if resume and last.exists():
        progress = load_checkpoint(
            last, run.stored_modules, run.plain_optimizers, task.trained_by(), task.recipe.defaults()
        )
    with SummaryWriter(str(out / "tensorboard")) as log:
        for epoch in range(progress.epoch, task.recipe.epochs):
            if progress.exhausted(task.recipe.patience):
                LOGGER.info("stopped after epoch %d: the best was epoch %d", epoch, progress.best_epoch)
                break
            torch.manual_seed(derived_seed(task.recipe.seed, "epoch", epoch))
            task.start_epoch(epoch)
            dataset.epoch = epoch
            sampler.set_epoch(epoch)
            step = _train_epoch(run, loader, progress.step, total, log, on_step)
            best = _validate(run, epoch, (progress.best, progress.best_epoch), out, log)
            progress = Progress(epoch + 1, step, *run.fabric.broadcast(best))
            if run.fabric.is_global_zero:
                save_checkpoint(last, run.stored_modules, run.plain_optimizers, progress, task.trained_by())
    load_checkpoint(
        out / "best.safetensors", {"model": run.best_model}, {}, task.trained_by(), task.recipe.defaults()
    )
    return run.best_model.eval()


def _prepare(task: Task, device: str) -> Run:
    torch.manual_seed(derived_seed(task.recipe.seed, "init"))
    task.build()
    # "auto" was settled when the recipe was made
    precision = cast(Precision, task.recipe.precision)
    fabric = Fabric(accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device], precision=precision)
    fabric.launch()
    for module in task.modules.values():
        module.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = task.optimizers()
    average = None
    if task.recipe.ema_decay:
        average = AveragedModel(
            task.modules["model"], multi_avg_fn=get_ema_multi_avg_fn(task.recipe.ema_decay), use_buffers=True
        )
    wrapped: dict[str, Any] = {}
    optimizers: dict[str, Any] = {}
    for name, module in task.modules.items():
        if name in plain:
            wrapped[name], optimizers[name] = fabric.setup(module, plain[name])
        else:
            wrapped[name] = fabric.setup_module(module)
    rates = {name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in plain.items()}
    return Run(task, fabric, wrapped, optimizers, plain, average, rates)


def _loader(
    task: Task, fabric: Fabric
) -> tuple[DataLoader[Batch], SeededDataset, EpochSampler | DistributedSampler[Batch]]:
    recipe = task.recipe
    dataset = SeededDataset(task.training_set(), recipe.seed)
    if not len(dataset):
        raise DatasetError(f"the training part of {', '.join(task.data)} has no films; give more data.")
    sampler: EpochSampler | DistributedSampler[Batch]
    if fabric.world_size > 1:
        sampler = DistributedSampler(dataset, seed=recipe.seed, drop_last=True)
    else:
        sampler = EpochSampler(len(dataset), recipe.seed)
    batch_size = min(recipe.batch_size, len(dataset))
    loader = DataLoader(dataset, batch_size, sampler=sampler, num_workers=recipe.workers, drop_last=True)
    return loader, dataset, sampler


def _train_epoch(
    run: Run, loader: DataLoader[Batch], step: int, total: int, log: SummaryWriter, on_step: OnStep | None
) -> int:
    for module in run.wrapped.values():
        module.train()
    for batch in loader:
        _follow_schedule(run, step, total)
        losses = run.task.training_step(run.fabric, run.wrapped, run.optimizers, run.fabric.to_device(batch))
        if run.average is not None:
            run.average.update_parameters(run.task.modules["model"])
        step += 1
        if run.fabric.is_global_zero:
            for name, value in losses.items():
                log.add_scalar(f"train/{name}", value, step)
            if on_step is not None:
                on_step(step, total, losses)
    return step


def _follow_schedule(run: Run, step: int, total: int) -> None:
    """Rates and momenta of the optimizers as the task wants them at this step."""
    for name, optimizer in run.plain_optimizers.items():
        factor = run.task.learning_rate_factor(name, step, total)
        momentum = run.task.momentum(name, step, total)
        for group, rate in zip(optimizer.param_groups, run.base_rates[name], strict=True):
            group["lr"] = rate * factor
            if momentum is not None:
                _set_momentum(group, momentum)


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    """SGD calls it so; for Adam and its kin it is the first of two betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _validate(run: Run, epoch: int, best: Best, out: Path, log: SummaryWriter) -> Best:
    """Measure on the validation part; keep the weights if they are the best so far."""
    recipe = run.task.recipe
    last_epoch = epoch + 1 == recipe.epochs
    if not run.fabric.is_global_zero or ((epoch + 1) % recipe.validate_every and not last_epoch):
        return best
    model = run.best_model.eval()
    with torch.no_grad():
        evaluation = run.task.evaluate(model, "validation")
    scalars = evaluation.scalars()
    for name, picture in evaluation.samples.items():
        log.add_image(f"validation/{name}", picture, epoch + 1, dataformats="HW")
    for name, value in scalars.items():
        log.add_scalar(f"validation/{name}", value, epoch + 1)
    key, direction = run.task.monitor
    value = scalars[key] if direction == "max" else -scalars[key]
    LOGGER.info(
        "epoch %d: %s", epoch + 1, ", ".join(f"{name} {figure:.4f}" for name, figure in scalars.items())
    )
    if best[0] is None or math.isnan(best[0]) or value >= best[0]:
        progress = Progress(epoch + 1, 0, value, epoch + 1)
        save_checkpoint(out / "best.safetensors", {"model": model}, {}, progress, run.task.trained_by())
        return value, epoch + 1
    return best
