"""The lung network: a U-Net on a VGG16 encoder after Frid-Adar et al. 2018.

Contracting path: VGG16's thirteen convolutions (64, 64 | 128, 128 | 256 x 3 | 512 x 3 | 512 x 3) with batch
normalisation, from timm. Expanding path mirrors it: upsample by 2, concatenate, two 3 x 3 convolutions with
batch normalisation and ReLU. ``width`` scales every channel count; 1.0 is the published network.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.vgg import VGG
from torch import Tensor, nn
from torch.nn.functional import interpolate

from suite.errors import WeightsError
from suite.stages.weights import ModelCard, load_state

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
OUTPUT_STRIDE = 16
PLANES = ("right_visible", "left_visible", "right_whole", "left_whole")
"""What the output planes show: the visible lung fields (SCR), then the lungs with their hidden parts."""
VISIBLE = PLANES[:2]


class DecoderBlock(nn.Module):
    """Upsample by 2, concatenate the skip, two 3 x 3 convolutions with batch normalisation and ReLU."""

    def __init__(self, channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels + skip_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = interpolate(x, scale_factor=2.0, mode="nearest")  # (B, C, 2h, 2w)
        return self.convolutions(torch.cat((skip, x), dim=1))


class VGG16UNet(nn.Module):
    """U-Net with a VGG16 encoder.

    Args:
        planes: output planes, each an independent logit; the first of ``PLANES``.
        width: factor on all channel counts.

    Shape:
        - **input** - (B, 1, H, W) float32 in [0, 1]; H and W divisible by 16
        - **output** - (B, planes, H, W) logits
    """

    def __init__(self, planes: int = 2, width: float = 1.0) -> None:
        super().__init__()
        stages = [[int(channels * width) for channels in stage] for stage in VGG16_STAGES]
        self.stages = nn.ModuleList(_encoder(stages))
        depth = [stage[-1] for stage in stages]
        self.decoder = nn.ModuleList(
            DecoderBlock(below, skip, skip) for below, skip in zip(depth[:0:-1], depth[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(depth[0], planes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.25
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x = block(x, skip)
        return self.head(x)


def _encoder(stages: list[list[int]]) -> list[nn.Sequential]:
    """timm's VGG16 cut at its poolings: each stage after the first begins with one."""
    configuration: list[int | str] = []
    for stage in stages:
        configuration += [*stage, "M"]
    # timm's classifier is not used: one hidden channel instead of 4096 saves making its weights
    network = VGG(configuration, num_classes=0, in_chans=1, mlp_ratio=1 / 4096, norm_layer=nn.BatchNorm2d)
    layers = list(network.features)
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    starts = [0, *pools[:-1]]
    return [nn.Sequential(*layers[start:end]) for start, end in zip(starts, pools, strict=True)]


def load_trained(network: VGG16UNet, card: ModelCard) -> None:
    """Initialise from weights of the lung recipe; those of visible fields begin the whole lungs as well.

    Raises:
        WeightsError: the file is unreadable, or holds a network of another width.
    """
    state = load_state(card)
    planes = network.head.out_channels
    for name in ("head.weight", "head.bias"):
        value = state.get(name)
        if value is not None and len(value) < planes and planes % len(value) == 0:
            state[name] = torch.cat([value] * (planes // len(value)))
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError:
        missing, unexpected = ["tensors of other shapes"], []
    if unexpected or any("num_batches" not in name for name in missing):
        raise WeightsError(f"{card.path}: holds another lung network; give its width.")


def load_imagenet_encoder(network: VGG16UNet, path: Path) -> None:
    """Initialise the encoder from a timm or torchvision ``vgg16_bn`` file (safetensors); width 1 only.

    The first convolution's three colour planes are summed, so that a grey film gives what its three equal
    planes would.

    Raises:
        WeightsError: the file is unreadable or does not fit.
    """
    try:
        source = load_file(path)
        first = source["features.0.weight"]
        source["features.0.weight"] = first.sum(1, keepdim=True) if first.shape[1] == 3 else first
        offset = 0
        for stage in network.stages:
            layers = dict(stage.named_children())
            prefixes = {name: f"features.{int(name) + offset}" for name in layers}
            names = [key.split(".", 1) for key in stage.state_dict()]
            stage.load_state_dict(
                {f"{layer}.{rest}": source[f"{prefixes[layer]}.{rest}"] for layer, rest in names}
            )
            offset += len(layers)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"{path}: does not hold a vgg16_bn encoder of this width ({reason}); export it again."
        ) from None
