"""Does a fracture reader see breaks in the bone image? One detector, four kinds of input, computed chests.

    python benchmarks/bone_fractures.py --phantom COHORT --weights bone.safetensors --out OUT

A small U-Net learns to draw where bones are broken, from the film, from the true bone layer, and from the
network's bone layer; a film's score is the mean of the highest thousandth of its map. Printed is the area
under the ROC curve on the test studies: each on its own kind of image, and the detector of true layers on the
network's. A generator that heals breaks would show there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, max_pool2d

from gan.networks import build_generator
from gan.pairs import AS_TRUE, is_fractured, pair_bank
from gan.recipe import BoneRecipe
from suite.datasets.registry import open_dataset
from suite.stages.weights import read_card, rebuild
from suite.storage import make_folder, write_text
from suite.training.bank import Bank
from suite.training.batch_augment import Geometry, quantum_noise, warp
from suite.training.intervals import auc_figure

LAYER_GAIN = 4.0
GEOMETRY = Geometry(degrees=8.0, shift=0.04, scale=(0.9, 1.15))


def detector() -> nn.Module:
    """A U-Net on a ResNet-18 without pretrained weights, one map of breaks."""
    from segmentation_models_pytorch import Unet

    return Unet("resnet18", encoder_weights=None, in_channels=1, classes=1)


def add_layers(bank: Bank, network: nn.Module, convention: int, device: torch.device) -> None:
    """Give every pair of a bank the network's own layer as a third plane, ``predicted``."""
    layers = []
    for start in range(0, len(bank), 8):
        rows = torch.arange(start, min(start + 8, len(bank)))
        film = bank.gather(rows)["pair"][:, :1].to(device)
        asked = torch.full((len(rows),), convention, dtype=torch.long, device=device)
        with torch.inference_mode():
            layers.append(network(film, asked).clamp(0.0, 0.35).cpu())
    bank.stored["predicted"] = (torch.cat(layers) * 32767).round().to(torch.int16)


def image_of(batch: dict[str, Tensor], kind: str) -> Tensor:
    """The detector's input (B, 1, H, W)."""
    if kind == "film":
        return batch["pair"][:, :1]
    return LAYER_GAIN * (batch["pair"][:, 1:] if kind == "true layer" else batch["predicted"])


def learn(bank: Bank, kind: str, epochs: int, device: torch.device) -> nn.Module:
    """A detector of one kind of image."""
    torch.manual_seed(0)
    network = detector().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
    steps = max(1, len(bank) // 16) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for _ in range(steps):
        batch = bank.gather(torch.randint(len(bank), (16,)))
        image, breaks = image_of(batch, kind), (batch["regions"][:, 1:] / 255)
        both = warp(torch.cat((image, breaks), dim=1), GEOMETRY.grid(image))
        image, breaks = quantum_noise(both[:, :1], sigma=0.01), max_pool2d(both[:, 1:], 4)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = max_pool2d(network(image), 4)
        weight = torch.tensor(20.0, device=device)
        loss = binary_cross_entropy_with_logits(logits.float(), breaks.clamp(0, 1), pos_weight=weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def scores(network: nn.Module, bank: Bank, kind: str) -> np.ndarray:
    """One number a study."""
    found = []
    for start in range(0, len(bank), 8):
        batch = bank.gather(torch.arange(start, min(start + 8, len(bank))))
        with torch.inference_mode():
            drawn = network(image_of(batch, kind)).float().flatten(1)
        found.append(drawn.topk(max(1, drawn.shape[1] // 1000), dim=1).values.mean(1).cpu())
    return torch.cat(found).numpy().astype(np.float64)


def main() -> None:
    """Train three detectors, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--phantom", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    card = read_card(options.weights.with_suffix(".json"))
    generator = rebuild(build_generator, card).to(device)
    conventions = BoneRecipe.checked(card.content["recipe"]).conventions
    split = open_dataset("phantom", options.phantom).with_target("bone").split(0)
    banks = {}
    for part, records in (("train", split["train"]), ("test", split["test"])):
        banks[part] = pair_bank(records, options.size)
        add_layers(banks[part], generator, conventions.index(AS_TRUE), device)
        banks[part].to(device)
    labels = np.array([float(is_fractured(record)) for record in split["test"]])
    owners = [record.patient_id for record in split["test"]]
    rng = np.random.default_rng(0)
    lines = ["| learned from | read from | area under the curve |", "|---|---|---|"]
    make_folder(options.out)
    for kind, read in (("film", ("film",)), ("true layer", ("true layer", "network's layer")),
                       ("network's layer", ("network's layer",))):  # fmt: skip
        start = time.perf_counter()
        network = learn(banks["train"], kind, options.epochs, device)
        for shown in read:
            figure = auc_figure(labels, scores(network, banks["test"], shown), owners, rng)
            lines.append(f"| {kind} | {shown} | {figure} |")
            print(lines[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
        write_text(options.out / "fractures.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
