"""A detector that draws a map of where bones are broken on a whole film."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, max_pool2d

from benchmarks.breaks.banks import CHUNK
from suite.training.bank import Bank
from suite.training.batch_augment import Geometry, quantum_noise, warp
from suite.training.patient_draws import Values
from suite.training.precision import fastest_precision

KINDS: Mapping[str, tuple[str, ...]] = {
    "film": ("film",),
    "true layer": ("true",),
    "network's layer": ("network",),
    "dual-energy": ("hardware",),
    "film + true layer": ("film", "true"),
    "film + network's layer": ("film", "network"),
}
"""Planes of each kind of input."""

READ_TOO = {"true layer": "network's layer", "film + true layer": "film + network's layer"}
"""What else a detector is shown once it has learned its own kind."""

GEOMETRY = Geometry(degrees=8.0, shift=0.04, scale=(0.9, 1.15))
BATCH = 16
STRIDE = 32
"""The U-Net halves its input five times."""

BREAK_WEIGHT = 20.0
"""How much more a broken pixel counts in the loss: there are few."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One that is to be trained: what it learns from, and its seed."""

    kind: str
    seed: int

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds of images it is measured on."""
        return (self.kind, *([READ_TOO[self.kind]] if self.kind in READ_TOO else []))

    def path(self, out: Path) -> Path:
        words = self.kind.replace("'s", "").replace("+ ", "").replace(" ", "-")
        return out / "scores" / f"{words}-{self.seed}.json"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a detector learns, and from squares of which side (0: from whole films)."""

    epochs: int
    patch: int = 0

    def steps(self, studies: int) -> int:
        return max(1, studies // BATCH) * self.epochs


class Batches:
    """Batches of a bank's films, whole or cut: a break is a thing of a few millimetres.

    Half of the squares that are cut lie around a broken pixel, the others anywhere on any film.
    """

    def __init__(self, bank: Bank, side: int) -> None:
        self.bank, self.side = bank, side
        self.size = bank.stored["breaks"].shape[-1]
        if side:
            whole = bank.stored["breaks"]
            broken = torch.nonzero(whole[:, 0] > 0)  # (M, 3): film, row, column
            films = broken[:, 0].unique()
            self.broken = [broken[broken[:, 0] == film] for film in films]

    def drawn(self) -> dict[str, Tensor]:
        """``BATCH`` films, or squares of them; one of every two around a break, if there is any."""
        device = self.bank.stored["breaks"].device
        rows = torch.randint(len(self.bank), (BATCH,), device=device)
        if not self.side:
            return self.bank.gather(rows)
        centres = torch.randint(self.size, (BATCH, 2), device=device)
        for place in range(0, BATCH if self.broken else 0, 2):
            pixels = self.broken[int(torch.randint(len(self.broken), ()))]
            film = pixels[int(torch.randint(len(pixels), ()))]
            rows[place], centres[place] = film[0], film[1:]
        shift = torch.randint(-self.side // 4, self.side // 4 + 1, centres.shape, device=device)
        corners = (centres + shift - self.side // 2).clamp(0, self.size - self.side)
        steps = torch.arange(self.side, device=device)
        down = (corners[:, :1] + steps)[:, :, None]
        across = (corners[:, 1:] + steps)[:, None, :]
        cut = {name: plane[rows[:, None, None], :, down, across].movedim(-1, 1)
               for name, plane in self.bank.stored.items()}  # fmt: skip
        return Bank(cut).gather(torch.arange(BATCH, device=device))


def unet(planes: int) -> nn.Module:
    """A U-Net on a ResNet-18 without pretrained weights, one map of breaks."""
    from segmentation_models_pytorch import Unet

    return Unet("resnet18", encoder_weights=None, in_channels=planes, classes=1)


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether mixed precision pays on this device."""
    meant = (device.type == "cuda") == torch.cuda.is_available()
    return meant and fastest_precision() == "bf16-mixed"


def learn(bank: Bank, detector: Detector, budget: Budget, device: torch.device) -> nn.Module:
    """A detector of one kind of image; nothing in its steps waits for the device."""
    torch.manual_seed(detector.seed)
    planes = KINDS[detector.kind]
    own = Bank({name: bank.stored[name] for name in (*planes, "breaks")})
    batches = Batches(own, budget.patch)
    network = unet(len(planes)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-3, weight_decay=1e-3, fused=device.type == "cuda"
    )
    steps = budget.steps(len(own))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    weight = torch.tensor(BREAK_WEIGHT, device=device)
    mixed = is_quick_in_bfloat16(device)
    for _ in range(steps):
        batch = batches.drawn()
        together = torch.cat((*(batch[name] for name in planes), batch["breaks"] / 255), dim=1)
        together = warp(together, GEOMETRY.grid(together))
        image = quantum_noise(together[:, :-1], sigma=0.01).contiguous(memory_format=torch.channels_last)
        breaks = max_pool2d(together[:, -1:], 4).clamp(0, 1)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = max_pool2d(network(image), 4)
        loss = binary_cross_entropy_with_logits(logits.float(), breaks, pos_weight=weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def scores(network: nn.Module, bank: Bank, kind: str) -> Values:
    """One number a study, (N,)."""
    own = Bank({name: bank.stored[name] for name in KINDS[kind]})
    found = []
    for rows in torch.arange(len(own)).split(CHUNK):
        batch = own.gather(rows)
        with torch.inference_mode():
            drawn = network(torch.cat(list(batch.values()), dim=1)).float().flatten(1)
        found.append(drawn.topk(max(1, drawn.shape[1] // 1000), dim=1).values.mean(1))
    return torch.cat(found).cpu().numpy().astype(np.float64)
