"""What a reading with all heatmaps costs beside a bare forward pass, and a training step beside a bare one.

    python benchmarks/diagnosis.py
    python benchmarks/diagnosis.py --device cuda --size 512 --batch 32

One study, two views, 13 findings, 26 heatmaps on their coarse grids, in one forward pass:

* against the same layers without map heads;
* against torchxrayvision's DenseNet-121 with pytorch-grad-cam, 13 findings on one view, where both are
  installed (``pip install torchxrayvision grad-cam``; neither is needed by the suite). Its weights are not
  loaded, they do not change the time.

A training step with films gathered, moved, changed and noised on the device, against the same step on one
batch that lies there ready. Networks have random weights, films are noise: neither changes the time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from classifiers.cam import heatmap_from
from classifiers.diagnosis.batches import study_batch
from classifiers.diagnosis.films import MASK_STRIDE, StudyFilms
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.training import DiagnosisTask
from suite.datasets.manifest import Manifest, Record
from suite.devices import resolve_device
from suite.findings import CODES
from suite.training.bank import Bank
from suite.training.loop import SeededDataset

NETWORK: dict[str, Any] = {"map_stride": 8, "pooling": "lse", "fuse_branches": True}
STUDIES = 96


def seconds(functions: Sequence[Callable[[], Any]], repeats: int, device: str) -> list[float]:
    """Median time of a call of each, after two that do not count.

    They take turns, so that what else runs on the machine falls on all alike.
    """
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 2):
        for function, own in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn >= 2:
                own.append(time.perf_counter() - started)
    return [statistics.median(own) for own in times]


def reading(size: int, device: str, repeats: int) -> None:
    """One study, both views, against the bare layers and against Grad-CAM."""
    network = DualBranchDenseNet(3, **NETWORK).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    frontal, lateral = (
        torch.rand(1, 3, size, size, device=device),
        torch.rand(1, 1, size, size, device=device),
    )

    @torch.inference_mode()
    def with_heatmaps() -> list[Any]:
        output = network(frontal, lateral)
        maps = torch.stack((output.frontal_maps, output.lateral_maps))
        return [heatmap_from(maps).cpu().numpy(), output.logits.cpu().numpy()]

    @torch.inference_mode()
    def bare() -> Any:
        views = torch.cat((network.frontal(frontal), network.lateral(lateral)), dim=1)
        return network.head(network.trunk(network.join(views)).mean((-2, -1))).cpu().numpy()

    full, plain = seconds([with_heatmaps, bare], repeats, device)
    print(f"reading, {size} px, {device}: 26 heatmaps {1000 * full:.1f} ms, "
          f"bare forward {1000 * plain:.1f} ms, ratio {full / plain:.3f} (target 1.10)")  # fmt: skip
    other = grad_cam(size, device, max(1, repeats // 3))
    if other is not None:
        print(f"torchxrayvision + Grad-CAM, 13 findings, one view: {1000 * other:.1f} ms, "
              f"ours takes {full / other:.3f} of it (target 0.25)")  # fmt: skip


def grad_cam(size: int, device: str, repeats: int) -> float | None:
    """Time of 13 Grad-CAMs of torchxrayvision's DenseNet-121, or ``None`` where it is not installed."""
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
        from torchxrayvision.models import DenseNet
    except ImportError as error:
        print(
            f"no comparison with Grad-CAM: {error.name} is not installed; "
            "pip install torchxrayvision grad-cam"
        )
        return None
    network = DenseNet(num_classes=len(CODES), in_channels=1).to(device).eval()
    film = torch.rand(1, 1, size, size, device=device)
    with GradCAM(model=network, target_layers=[network.features.norm5]) as cam:
        [median] = seconds(
            [lambda: [cam(film, targets=[ClassifierOutputTarget(index)]) for index in range(len(CODES))]],
            repeats,
            device,
        )
    return median


def noise_films(size: int, device: str) -> tuple[Manifest, StudyFilms]:
    """Studies of noise with laterals, labels and masks."""
    generator = torch.Generator().manual_seed(0)

    def plane() -> Tensor:
        return torch.randint(0, 32767, (STUDIES, 1, size, size), generator=generator, dtype=torch.int16)

    side = size // MASK_STRIDE
    labels = (torch.rand(STUDIES, len(CODES), generator=generator) < 0.3).float()
    masks = (torch.rand(STUDIES, len(CODES), side, side, generator=generator) < 0.01).to(torch.uint8)
    stored = {"film": plane(), "lungs": plane(), "bone_gan": plane(), "lateral": plane()}
    stored |= {"masks": masks, "lateral_masks": masks.clone(), "labels": labels}
    stored |= {"uncertain": torch.zeros_like(labels), "shape": torch.full((STUDIES, 2), float(size))}
    stored |= {name: torch.ones(STUDIES, 1) for name in ("has_lateral", "has_masks")}
    records = tuple(
        Record(str(index), str(index), Path(f"{index}.png"), Path(f"{index}-lateral.png"), tuple(row))
        for index, row in enumerate(labels.tolist())
    )
    rows = {str(record.frontal): row for row, record in enumerate(records)}
    return Manifest("phantom", records), StudyFilms(rows, Bank(stored).to(torch.device(device)))


def training(size: int, batch: int, device: str, steps: int) -> None:
    """A training step as the loop makes it, against one on a batch that is ready."""
    data, films = noise_films(size, device)
    recipe = DiagnosisRecipe.checked({"size": size, "batch_size": batch, "passes": 100})
    task = DiagnosisTask(recipe, {"phantom": data}, films)
    task.build()
    fabric = Fabric(accelerator="gpu" if device == "cuda" else "cpu", devices=1, precision=recipe.precision)
    task.modules["model"].to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model, optimizer = fabric.setup(task.modules["model"], task.optimizers()["model"])
    dataset = SeededDataset(task.training_set(), 0)
    batches = iter(DataLoader(dataset, batch, shuffle=True, drop_last=True))
    model.train()
    ready = study_batch(films, torch.arange(batch, device=fabric.device), task.planes, augmented=True)
    shown = torch.rand(batch, device=fabric.device) >= recipe.lateral_dropout

    def bare() -> None:
        output = model(ready.frontal, ready.lateral, None, shown)
        optimizer.zero_grad()
        fabric.backward(torch.stack(list(task.losses(output, ready).values())).sum())
        optimizer.step()

    def step() -> None:
        task.training_step(fabric, {"model": model}, {"model": optimizer}, fabric.to_device(next(batches)))

    full, plain = seconds([step, bare], steps, device)
    print(f"training step, {size} px, batch {batch}, {device}, {recipe.precision}: {1000 * full:.1f} ms "
          f"({batch / full:.0f} studies a second), bare {1000 * plain:.1f} ms, "
          f"ratio {full / plain:.3f} (target 1.10)")  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    reading(arguments.size, device, arguments.repeats)
    training(arguments.size, arguments.batch, device, arguments.repeats)


if __name__ == "__main__":
    main()
