"""The cascade's networks: the published sizes, ImageNet files, augmentation, and one cycle of the rate."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from segmentation.pneumothorax.augmentation import (
    PATCH_AREA,
    PATCHES,
    cutout,
    lighting,
    placed,
    shown,
)
from segmentation.pneumothorax.gate import place_loss
from segmentation.pneumothorax.network import PneumothoraxGate, PneumothoraxUNet, load_backbone, unfreeze
from suite.errors import WeightsError
from suite.training.batch_augment import warp
from suite.training.loop import fit
from suite.training.schedule import OneCycle
from tests.small_task import SmallTask, small_task

STEM = 7 * 7 * 64
RESNEXT50 = 25_028_904 - (2048 + 1) * 1000 + (2048 + 1) - 2 * STEM
"""torchvision's resnext50_32x4d has 25,028,904 weights at 1000 classes and three colours."""

RESNET34 = 21_797_672 - (512 + 1) * 1000 - 2 * STEM
"""torchvision's resnet34 has 21,797,672; the encoder has no classes and one plane."""


def decoder_weights(encoder: list[int], decoder: list[int]) -> int:
    """Two 3 x 3 convolutions without bias and two batch normalisations a block, then a 3 x 3 head."""
    total, below = 0, encoder[-1]
    for skip, out in zip([*encoder[-2::-1], 0], decoder, strict=True):
        total += 9 * (below + skip) * out + 9 * out * out + 4 * out
        below = out
    return total + 9 * below + 1


def basic_resnet(channels: list[int], blocks: list[int]) -> int:
    """He 2015: a 7 x 7 stem of 64, then blocks of two 3 x 3 convolutions, each with batch normalisation.

    A stage that changes the width or the resolution begins with a 1 x 1 convolution beside its first block.
    """
    total, below = STEM + 2 * 64, 64
    for stage, (width, count) in enumerate(zip(channels, blocks, strict=True)):
        for block in range(count):
            total += 9 * below * width + 9 * width * width + 4 * width
            if block == 0 and (stage > 0 or below != width):
                total += below * width + 2 * width
            below = width
    return total


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_gate_is_resnext50_32x4d() -> None:
    with torch.device("meta"):
        assert parameters(PneumothoraxGate()) == RESNEXT50 == 22_975_681


def test_the_published_mask_network_is_a_resnet34_unet() -> None:
    with torch.device("meta"):
        network = PneumothoraxUNet()
    decoder = decoder_weights([64, 64, 128, 256, 512], [256, 128, 64, 32, 16])
    assert parameters(network) == RESNET34 + decoder == 24_430_097


def test_the_count_of_the_blocks_is_torchvisions() -> None:
    assert basic_resnet([64, 128, 256, 512], [3, 4, 6, 3]) == RESNET34


def test_width_and_decoder_make_both_small() -> None:
    encoder = basic_resnet([32, 64, 128, 256], [2, 2, 2, 2])
    with torch.device("meta"):
        assert parameters(PneumothoraxGate("resnet18", 0.5)) == encoder + 256 + 1
        network = PneumothoraxUNet("resnet18", 0.5, [128, 64, 32, 16, 16])
    assert parameters(network) == encoder + decoder_weights([64, 32, 64, 128, 256], [128, 64, 32, 16, 16])


def test_outputs_lie_where_they_should() -> None:
    films = torch.rand(2, 1, 64, 96)
    assert PneumothoraxGate("resnet18", 0.125).eval()(films).shape == (2,)
    assert PneumothoraxUNet("resnet18", 0.125, [8] * 5).eval()(films).shape == (2, 1, 64, 96)


@pytest.mark.parametrize("build", [PneumothoraxGate, PneumothoraxUNet])
def test_an_imagenet_file_is_taken_over_with_its_colours_summed(
    build: type[nn.Module], tmp_path: Path
) -> None:
    colour = timm.create_model("resnet18", channels=(8, 16, 32, 64)).state_dict()
    save_file(colour, tmp_path / "resnet18.safetensors")
    network = build("resnet18", 0.125)
    load_backbone(network, tmp_path / "resnet18.safetensors")
    own = dict(network.state_dict())
    first = next(value for key, value in own.items() if key.endswith(".conv1.weight"))
    torch.testing.assert_close(first, colour["conv1.weight"].sum(1, keepdim=True))
    deep = next(value for key, value in own.items() if key.endswith("layer4.1.conv2.weight"))
    assert torch.equal(deep, colour["layer4.1.conv2.weight"])


def test_a_gate_may_begin_with_what_a_mask_network_has_learned(tmp_path: Path) -> None:
    unet, gate = PneumothoraxUNet("resnet18", 0.125, [8] * 5), PneumothoraxGate("resnet18", 0.125)
    save_file(unet.state_dict(), tmp_path / "mask.safetensors")
    classes = gate.backbone.fc.weight.clone()
    load_backbone(gate, tmp_path / "mask.safetensors")
    learned, own = unet.unet.encoder.model.state_dict(), gate.backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in learned.items())
    assert torch.equal(gate.backbone.fc.weight, classes)
    with pytest.raises(WeightsError, match="does not hold a backbone of this name and width"):
        load_backbone(PneumothoraxGate("resnet18", 0.25), tmp_path / "mask.safetensors")


def test_an_imagenet_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    wide = timm.create_model("resnet18", channels=(16, 32, 64, 128)).state_dict()
    save_file(wide, tmp_path / "wide.safetensors")
    save_file({"conv1.weight": wide["conv1.weight"]}, tmp_path / "stem.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("wide", "stem", "text", "none"):
        with pytest.raises(WeightsError, match="does not hold a backbone of this name and width") as caught:
            load_backbone(PneumothoraxGate("resnet18", 0.125), tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)


def test_a_held_encoder_does_not_learn_and_the_decoder_does() -> None:
    network = PneumothoraxUNet("resnet18", 0.125, [8] * 5)
    unfreeze(network, trainable=False)
    learning = {name.split(".")[1] for name, value in network.named_parameters() if value.requires_grad}
    assert learning == {"decoder", "segmentation_head"}
    unfreeze(network, trainable=True)
    assert all(value.requires_grad for value in network.parameters())


def test_film_and_mask_change_together_and_stay_what_they_are() -> None:
    film = torch.full((8, 1, 64, 64), 0.8)
    film[..., 20:44, 8:20] = 0.1
    mask = (film < 0.5).float()
    torch.manual_seed(0)
    grid = placed(film)
    moved, carried = warp(film, grid), warp(mask, grid, nearest=True)
    assert set(carried.unique().tolist()) == {0.0, 1.0}
    sides = carried.flatten(2).argmax(-1)[:, 0] % 64 < 32
    assert 0 < int(sides.sum()) < 8  # some are mirrored, some not
    changed = shown(moved, "paper")
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    for one, own in zip(changed, carried, strict=True):
        assert one[own > 0].mean() < one[:, 24:40, 28:36].mean()


def test_lighting_at_its_ends_by_hand() -> None:
    film = torch.tensor([[[[0.5, 0.8]]]])
    brighter = lighting(film, (0.6, 0.6), (1.0, 1.0), p=1.0)
    # the grey of one half becomes 0.6; odds multiply: 4 x 1.5 = 6, 6 / 7
    torch.testing.assert_close(brighter, torch.tensor([[[[0.6, 6 / 7]]]]))
    steeper = lighting(film, (0.5, 0.5), (2.0, 2.0), p=1.0)
    torch.testing.assert_close(steeper, torch.tensor([[[[0.5, 16 / 17]]]]))


def test_cutout_takes_patches_out_of_the_film() -> None:
    torch.manual_seed(1)
    taken = (cutout(torch.full((64, 1, 64, 64), 0.7)) == 0).float().mean((1, 2, 3))
    assert float(taken.max()) <= PATCHES * PATCH_AREA[1] + 0.01
    # each of four patches with a chance of one half, on average 0.0175 of the film
    assert float(taken.mean()) == pytest.approx(4 * 0.5 * 0.0175, rel=0.25)


def test_a_localised_gate_answers_where_and_its_surest_places_count() -> None:
    torch.manual_seed(0)
    gate = PneumothoraxGate("resnet18", 0.125, localised=True).eval()
    film = torch.rand(2, 1, 64, 96)
    told, places = gate(film, places=True)
    assert places.shape == (2, 1, 4, 6)
    assert torch.equal(gate(film), told)
    with torch.no_grad():
        gate.place_deep.bias += 1.5  # everywhere surer by 1.5
    assert torch.allclose(gate(film), told + 1.5, atol=1e-5)


def test_a_place_is_gas_where_any_of_its_pixels_is() -> None:
    gas = torch.zeros(1, 1, 32, 32)
    gas[..., 3, 30] = 1.0
    right, wrong = torch.full((1, 1, 2, 2), -20.0), torch.full((1, 1, 2, 2), -20.0)
    right[0, 0, 0, 1] = 20.0
    wrong[0, 0, 1, 0] = 20.0
    assert float(place_loss(right, gas)) < 1e-6
    # one alarm of 20, and a miss of 20 that weighs five times, over four places
    assert float(place_loss(wrong, gas)) == pytest.approx((20 + 5 * 20) / 4)


@pytest.mark.parametrize("total", [10, 37, 200])
def test_one_cycle_is_torchs(total: int) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0, betas=(0.9, 0.99))
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, pct_start=0.3)
    cycle = OneCycle()
    for step in range(total):
        group = optimizer.param_groups[0]
        assert cycle.rate(step, total) == pytest.approx(group["lr"], rel=1e-6)
        assert cycle.momentum_at(step, total) == pytest.approx(group["betas"][0], rel=1e-6)
        optimizer.step()
        if step + 1 < total:
            torchs.step()


def test_a_run_of_one_step_has_a_rate() -> None:
    assert 0 < OneCycle().rate(0, 1) <= 1


def test_the_loop_sets_the_momentum_a_task_asks_for(tmp_path: Path) -> None:
    seen: list[tuple[float, ...]] = []

    class Cyclic(SmallTask):
        def momentum(self, name: str, step: int, total: int) -> float | None:
            return 0.5 + step / 100 if name == "model" else None

        def optimizers(self) -> dict[str, torch.optim.Optimizer]:
            self.made = super().optimizers()
            return self.made

    task = Cyclic(small_task(epochs=1).recipe, {})
    fit(
        task,
        tmp_path,
        device="cpu",
        on_step=lambda *_: seen.append(
            tuple(task.made[name].param_groups[0]["betas"][0] for name in ("model", "discriminator"))
        ),
    )
    assert seen == [(0.5, 0.5), (0.51, 0.5), (0.52, 0.5)]
