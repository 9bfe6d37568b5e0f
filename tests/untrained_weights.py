"""Weights of networks that have learned nothing, saved as the real ones are, so that stages can load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from classifiers.calibration import Calibration
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.triage.network import TriageNetwork
from gan.generator import MultiScaleGenerator
from segmentation.lungs.network import VGG16UNet
from segmentation.tissues.network import XNet
from suite.findings import CODES
from suite.stages.weights import ModelCard, save_release

CALIBRATION = Calibration(1.2, -0.1, (0.01, 0.002, 0.02), 0.4, "Youden's J", "a few films", 9, 12)

NOT_TRAINED = ("fracture", "support_devices")
NOT_CALIBRATED = ("edema",)


def release(folder: Path, name: str, network: nn.Module, **content: Any) -> ModelCard:
    """``network`` as shipped weights with the shortest card there can be, changed by ``content``."""
    card = {
        "title": f"Untrained {name}",
        "metrics": {},
        "architecture": {},
        "input": {"size": 64, "channels": 1},
    }
    return save_release(folder, name, network, {**card, **content})


def lungs(folder: Path) -> ModelCard:
    """The U-Net at a sixteenth of its channels; no film gives it an empty mask, whatever it looks like."""
    torch.manual_seed(0)
    network = VGG16UNet(planes=4, width=0.0625)
    if network.head.bias is not None:
        nn.init.constant_(network.head.bias, 0.1)
    return release(folder, "lungs", network, architecture={"planes": 4, "width": 0.0625})


def tissues(folder: Path) -> ModelCard:
    """XNet with a few channels on 64 x 64; its maps change from film to film."""
    torch.manual_seed(4)
    filters = (4, 6, 8, 10)
    network = XNet(filters=filters)
    nn.init.normal_(network.head.weight)
    return release(
        folder, "tissues", network, architecture={"network": "xnet", "filters": filters, "kernel": 3}
    )


def bone(folder: Path, **content: Any) -> ModelCard:
    """The generator at a sixteenth of its channels, on 256 x 256; its card changed by ``content``."""
    torch.manual_seed(1)
    network = MultiScaleGenerator(4)
    size = {"size": 256, "channels": 1}
    return release(folder, "bone", network, architecture={"base": 4}, input=size, **content)


def triage(folder: Path) -> ModelCard:
    """The triage network, which has one width only, on 64 x 64."""
    torch.manual_seed(2)
    return release(folder, "triage", TriageNetwork(), calibration=CALIBRATION.as_json())


def diagnosis(folder: Path, *, lateral: bool = False) -> ModelCard:
    """The diagnosis network on 64 x 64: two heads not trained, one not calibrated."""
    torch.manual_seed(3)
    heads = {
        code: {
            "trained": code not in NOT_TRAINED,
            "calibration": None if code in (*NOT_TRAINED, *NOT_CALIBRATED) else CALIBRATION.as_json(),
        }
        for code in CODES
    }
    views = {"frontal": {"trained": True}, "lateral": {"trained": lateral}}
    return release(folder, "diagnosis", DualBranchDenseNet(3), heads=heads, views=views)


def card(name: str, folder: Path) -> ModelCard:
    """The card alone of ``triage`` or ``diagnosis``, over a network of one parameter: quick to make."""
    heads = {
        code: {
            "trained": code not in NOT_TRAINED,
            "calibration": None if code in (*NOT_TRAINED, *NOT_CALIBRATED) else CALIBRATION.as_json(),
        }
        for code in CODES
    }
    content = {"calibration": CALIBRATION.as_json()} if name == "triage" else {"heads": heads}
    return release(folder, name, nn.Linear(1, 1), **content)
