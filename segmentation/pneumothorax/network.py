"""The networks of the One-Case cascade: a ResNeXt-50 32x4d says whether, a ResNet-34 U-Net says where.

Backbones are timm's, the U-Net's decoder is segmentation-models-pytorch's. ``width`` scales the channels of
the four residual stages (the stem keeps its 64); 1.0 and the default names are the published networks:

=====================================  ==========
ResNeXt-50 32x4d, one plane, one class  22,975,681
ResNet-34 U-Net, one plane, one mask    24,430,097
=====================================  ==========
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from suite.errors import WeightsError

GATE_BACKBONES = ("resnext50_32x4d", "resnet18", "resnet34", "resnet50")
MASK_ENCODERS = ("resnet34", "resnet18", "resnet50")
STAGES = (64, 128, 256, 512)
"""Channels of the residual stages (He 2015, table 1), before the bottleneck's expansion."""

DECODER = (256, 128, 64, 32, 16)
OUTPUT_STRIDE = 32
_IN_UNET = "unet.encoder.model."
_IMAGENET_MEAN, _IMAGENET_STD = 0.449, 0.226
"""The three colours' means and deviations, averaged: the films' grey is that of the colour pictures."""


def _stages(width: float) -> dict[str, Any]:
    return {"channels": tuple(round(channels * width) for channels in STAGES)}


class PneumothoraxGate(nn.Module):
    """Whether a film shows a pneumothorax.

    Args:
        backbone: timm's name.
        width: factor on the residual stages' channels.
        localised: also answers where, on a map a sixteenth of the film's side, which can be supervised; the
            surest places of the map count in the answer. Not published: a gate of labels alone needs more
            films than there are computed ones, as most pneumothoraces are a small part of the film.

    Shape:
        - **input** - (B, 1, H, W) float32 in [0, 1]
        - **output** - (B,) logit; with ``places`` also the map's logits (B, 1, H / 16, W / 16)
    """

    def __init__(
        self, backbone: str = "resnext50_32x4d", width: float = 1.0, localised: bool = False
    ) -> None:
        super().__init__()
        self.backbone = timm.create_model(backbone, in_chans=1, num_classes=1, **_stages(width))
        self.localised = localised
        if localised:
            stages: Any = self.backbone.feature_info
            middle, deep = (stage["num_chs"] for stage in stages[-2:])
            self.place_middle = nn.Conv2d(middle, 1, 1)
            self.place_deep = nn.Conv2d(deep, 1, 1)

    def forward(self, film: Tensor, places: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        film = _standardised(film)
        if not self.localised:
            return self.backbone(film)[:, 0]
        trunk: Any = self.backbone
        x = trunk.maxpool(trunk.act1(trunk.bn1(trunk.conv1(film))))
        middle = trunk.layer3(trunk.layer2(trunk.layer1(x)))  # (B, C, H / 16, W / 16)
        deep = trunk.layer4(middle)
        size = middle.shape[-2:]
        coarse = interpolate(self.place_deep(deep), size=size, mode="bilinear", align_corners=False)
        map_ = self.place_middle(middle) + coarse
        told = trunk.forward_head(deep)[:, 0] + _surest(map_)
        return (told, map_) if places else told


def _surest(map_: Tensor, share: float = 1 / 64) -> Tensor:
    """Mean of the largest ``share`` of each map (B, 1, h, w): (B,)."""
    cells = map_.flatten(1)
    return cells.topk(max(1, round(share * cells.shape[1])), dim=1).values.mean(1)


class PneumothoraxUNet(nn.Module):
    """Where the gas lies, given that there is some.

    Shape:
        - **input** - (B, 1, H, W) float32 in [0, 1]; H and W divisible by 32
        - **output** - (B, 1, H, W) logits
    """

    def __init__(
        self, encoder: str = "resnet34", width: float = 1.0, decoder: Sequence[int] = DECODER
    ) -> None:
        super().__init__()
        self.unet = smp.Unet(
            f"tu-{encoder}",
            encoder_weights=None,
            in_channels=1,
            decoder_channels=tuple(decoder),
            **_stages(width),
        )

    def forward(self, film: Tensor) -> Tensor:
        return self.unet(_standardised(film))


def _standardised(film: Tensor) -> Tensor:
    return (film - _IMAGENET_MEAN) / _IMAGENET_STD


def load_backbone(network: PneumothoraxGate | PneumothoraxUNet, path: Path) -> None:
    """Initialise the residual stages from a file (safetensors) with the same backbone.

    That is timm's or torchvision's ImageNet weights, whose classes are left out and whose first convolution's
    three colour planes are summed, so that a grey film gives what its three equal planes would; or weights of
    ``pneumothorax-mask``: a gate that begins with them knows what gas looks like.

    Raises:
        WeightsError: the file is unreadable or does not fit.
    """
    trunk = network.backbone if isinstance(network, PneumothoraxGate) else network.unet.encoder.model
    try:
        source = _backbone_in(load_file(path))
        first = source["conv1.weight"]
        source["conv1.weight"] = first.sum(1, keepdim=True) if first.shape[1] == 3 else first
        missing, unexpected = trunk.load_state_dict(source, strict=False)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"{path}: does not hold a backbone of this name and width ({reason}); export it again."
        ) from None
    missing = [key for key in missing if not key.startswith("fc.") and "num_batches" not in key]
    if missing or unexpected:
        raise WeightsError(
            f"{path}: does not hold a backbone of this name and width ({len(missing)} tensors missing, "
            f"{len(unexpected)} too many); export it again."
        )


def _backbone_in(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's tensors under their own names."""
    own = {key.removeprefix(_IN_UNET): value for key, value in state.items() if key.startswith(_IN_UNET)}
    return own or {key: value for key, value in state.items() if not key.startswith("fc.")}


def unfreeze(network: nn.Module, trainable: bool) -> None:
    """Let the encoder of a U-Net learn, or hold it as it was initialised."""
    encoder = network.unet.encoder if isinstance(network, PneumothoraxUNet) else network
    for parameter in encoder.parameters():
        parameter.requires_grad_(trainable)
