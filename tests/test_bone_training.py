"""How the bone GAN learns: pairs on the device, variation, growing scale, conventions, switches, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from gan.baselines import PlainUNet, ResNetUNet
from gan.discriminator import GradientDiscriminator, PatchDiscriminator
from gan.generator import ConventionScale, MultiScaleGenerator
from gan.networks import build_generator
from gan.pairs import AS_BSE, AS_TRUE, OUTSIDE_TRUST, BonePair, MixedPairs, framed_pair, pair_bank
from gan.progression import Progression, Scale
from gan.recipe import BoneRecipe
from gan.training import BoneTask
from gan.variation import Variation, at_scale, blended
from suite.datasets.phantom import read as read_phantom
from suite.datasets.registry import open_dataset
from suite.errors import RecipeError
from suite.phantom.cohort import CohortSettings, write_cohort
from suite.stages.weights import save_release
from suite.training.batch_augment import Geometry
from suite.training.command import finished
from suite.training.loop import fit
from tests import made_datasets
from tests.made_films import chest_pixels

STILL = Geometry(degrees=0.0, shift=0.0, scale=(1.0, 1.0))
TINY = ("size=64", "depth=5", "base=4", "discriminator_base=4", "precision=32-true", "validate_every=2",
        "first_size=64", "coarse_share=0", "break_films=0")  # fmt: skip


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small chests, about half of them fractured."""
    folder = tmp_path_factory.mktemp("cohort")
    settings = CohortSettings(seed=3, size=96, lateral=False, prevalence={"fracture": 0.6}, healthy=0.2)
    write_cohort(settings, 6, folder)
    return folder


# pairs on the device


def test_a_banks_pairs_are_those_of_their_records(tmp_path: Path) -> None:
    records = open_dataset("jsrt", made_datasets.jsrt(tmp_path)).with_target("bone").records
    stored = pair_bank(records, 128).gather(torch.tensor([1]))
    nothing = np.zeros((made_datasets.ROWS, made_datasets.COLUMNS), np.float32)
    film = chest_pixels(*nothing.shape, 2)
    expected = framed_pair(BonePair(film, nothing, nothing.astype(np.uint8)), 128)
    assert stored["pair"].shape == (1, 2, 128, 128)
    assert float((stored["pair"][0, 0] - torch.from_numpy(expected["pair"][0])).abs().max()) < 2e-3
    assert float(stored["pair"][0, 1].max()) > 0.05
    lungs = stored["regions"][0, 0] / 255
    assert set(lungs.unique().tolist()) >= {0.0, 1.0}
    assert stored["convention"].tolist() == [[AS_BSE]]


def test_breaks_of_computed_chests_are_kept_with_their_pairs(cohort: Path) -> None:
    records = read_phantom(cohort).records
    stored = pair_bank(records, 64).gather(torch.arange(6))
    marked = stored["regions"][:, 1].flatten(1).any(dim=1).tolist()
    assert marked == ["finding_fracture" in record.targets for record in records]
    assert 0 < sum(marked) < 6
    assert stored["convention"].flatten().tolist() == [AS_TRUE] * 6


def test_draws_have_the_share_of_true_layers_that_was_asked_for() -> None:
    torch.manual_seed(0)
    pairs = MixedPairs([AS_BSE] * 3 + [AS_TRUE] * 50, length=2000, true_share=0.25)
    drawn = np.array([int(pairs[index]["index"]) for index in range(2000)])
    assert (drawn >= 3).mean() == pytest.approx(0.25, abs=0.04)
    assert set(drawn[drawn < 3]) == {0, 1, 2}


def test_only_allowed_rows_are_drawn_and_one_kind_alone_is_no_mixture() -> None:
    pairs = MixedPairs([AS_TRUE] * 10, allowed=[2, 5], true_share=0.0)
    assert len(pairs) == 2
    assert {int(pairs[index % 2]["index"]) for index in range(40)} == {2, 5}
    with pytest.raises(IndexError):
        pairs[2]


# variation


def striped() -> tuple[Tensor, Tensor]:
    """Four films of constant soft tissue 0.3 with bars of 0.2, and their lungs."""
    bars = torch.zeros(4, 1, 64, 64)
    bars[:, :, 16::16] = 0.2
    bars[:, :, 17::16] = 0.2
    return torch.cat((0.3 + bars, bars), dim=1), torch.ones(4, 1, 64, 64)


def test_varied_bones_lie_where_their_films_show_them() -> None:
    """Soft tissue was constant and must stay so, whatever turned, bent, mirrored and toned the film."""
    torch.manual_seed(1)
    pair, regions = striped()
    for _ in range(5):
        varied, inside = Variation(noise=0.0)(pair, regions)
        for film, bone, believed in zip(varied[:, 0], varied[:, 1], inside[:, 0] > 0.999, strict=True):
            soft = (film - bone)[believed]
            assert float(soft.std()) < 0.004
            assert float(bone.max()) > 0.03


def test_bones_alone_become_stronger_and_weaker() -> None:
    torch.manual_seed(2)
    pair, regions = striped()
    strengths = []
    for _ in range(50):
        varied, _ = Variation(geometry=STILL, tone=0.0, strength=(0.5, 1.5), noise=0.0)(pair, regions)
        assert torch.allclose(varied[:, 0] - varied[:, 1], torch.full((4, 64, 64), 0.3), atol=1e-5)
        strengths += (varied[:, 1].amax((1, 2)) / 0.2).tolist()
    assert min(strengths) == pytest.approx(0.5, abs=0.03)
    assert max(strengths) == pytest.approx(1.5, abs=0.03)


def test_half_of_the_films_are_mirrored_with_their_layers() -> None:
    torch.manual_seed(3)
    ramp = torch.linspace(0.2, 0.6, 64).expand(64, 1, 64, 64)
    varied, _ = Variation(STILL, tone=0.0, strength=(1.0, 1.0), noise=0.0)(
        torch.cat((ramp, 0.1 * ramp), dim=1), ramp
    )
    mirrored = varied[:, 0, 32, 0] > 0.5
    assert 16 < int(mirrored.sum()) < 48
    assert torch.equal(varied[:, 1, 32, 0] > 0.05, mirrored)


def test_patches_are_cut_out_of_whole_films() -> None:
    torch.manual_seed(4)
    pair, regions = striped()
    varied, inside = Variation(STILL, tone=0.0, strength=(1.0, 1.0), noise=0.0)(pair, regions, side=32)
    assert varied.shape == (4, 2, 32, 32)
    assert inside.shape == (4, 1, 32, 32)
    assert float(varied[0, 1].max()) == pytest.approx(0.2)


# growing scale


def test_scales_double_up_to_the_full_one_for_equal_times() -> None:
    growing = Progression(size=1024, first=128, coarse_share=0.6, blend_share=0.5, stride=64)
    assert growing.coarse_sizes == (128, 256, 512)
    assert [growing.at(share).size for share in (0.0, 0.19, 0.21, 0.39, 0.41, 0.59, 0.61, 1.0)] == [
        128, 128, 256, 256, 512, 512, 1024, 1024,
    ]  # fmt: skip


def test_a_new_scale_is_blended_in_and_the_first_is_not() -> None:
    growing = Progression(size=512, first=256, coarse_share=0.5, blend_share=0.4, stride=128)
    assert growing.at(0.0) == Scale(256, 1.0)
    assert growing.at(0.5) == Scale(512, 0.0)
    assert growing.at(0.6).blend == pytest.approx(0.5)  # a fifth of its time, of two fifths
    assert growing.at(0.71).blend == 1.0
    assert Progression(512, 256, 0.0, 0.4, 128).at(0.0) == Scale(512, 1.0)


@pytest.mark.parametrize("size", [256, 384, 512, 640, 896])
def test_every_scale_is_one_the_generator_can_take(size: int) -> None:
    growing = BoneRecipe.from_settings([f"size={size}", "first_size=64"]).progression
    sizes = [growing.at(step / 50).size for step in range(51)]
    assert all(each >= 256 and each % 128 == 0 for each in sizes)
    assert sizes == sorted(sizes)
    assert sizes[-1] == size


def test_blending_goes_from_half_the_detail_to_all_of_it() -> None:
    fine = (torch.arange(16) % 2).float().expand(1, 1, 16, 16)
    assert torch.allclose(blended(fine, 0.0), torch.full((1, 1, 16, 16), 0.5))
    assert torch.allclose(blended(fine, 0.25), 0.5 + 0.25 * (fine - 0.5))
    assert torch.equal(blended(fine, 1.0), fine)
    assert torch.equal(at_scale(fine, 8), torch.full((1, 1, 8, 8), 0.5))


# the task


def task_of(folder: Path, *settings: str, cohort: Path | None = None) -> BoneTask:
    data = {"jsrt": open_dataset("jsrt", folder)}
    if cohort is not None:
        data["phantom"] = open_dataset("phantom", cohort)
    task = BoneTask(BoneRecipe.from_settings([*TINY, *settings]), data)
    task.build()
    return task


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """JSRT as it is laid out: 15 films, of which 10 in the training, 2 in the validation part."""
    return made_datasets.jsrt(tmp_path / "jsrt", 24)


def test_what_is_learned_from_the_lungs_and_what_from_everywhere(films: Path, cohort: Path) -> None:
    task = task_of(films, "learn_from=both", "tone=0", "drawn_breaks=0", "break_weight=0", cohort=cohort)
    kinds = [each["convention"] for each in (task.training_set(),) for each in [task._bank.stored]]
    rows = kinds[0].flatten()
    first, last = int((rows == AS_BSE).nonzero()[0]), int((rows == AS_TRUE).nonzero()[0])
    torch.manual_seed(0)
    batch = task.drawn(torch.tensor([first, last]), torch.device("cpu"))
    assert batch["convention"].tolist() == [AS_BSE, AS_TRUE]
    assert float(batch["trust"][0].min()) == pytest.approx(OUTSIDE_TRUST)
    assert float(batch["trust"][1].min()) == pytest.approx(task.recipe.outside_weight)
    assert float(batch["trust"].max()) == pytest.approx(1.0)
    assert float(batch["seen"][0].min()) == 0.0
    assert float(batch["seen"][1].min()) == 1.0


def test_an_error_around_a_break_counts_more(films: Path, cohort: Path) -> None:
    task = task_of(films, "learn_from=phantom", "break_weight=3", cohort=cohort)
    task.training_set()
    broken = int(task._bank.stored["regions"][:, 1].flatten(1).any(dim=1).nonzero()[0])
    batch = task.drawn(torch.tensor([broken]), torch.device("cpu"))
    assert float(batch["trust"].max()) > 2.0


def test_breaks_are_taught_in_the_convention_that_no_fractured_film_has(films: Path, cohort: Path) -> None:
    """Around the break, by gradients alone, and where the discriminator does not look."""
    task = task_of(films, "learn_from=both", "bse_breaks=1", "drawn_breaks=0", "tone=0", cohort=cohort)
    task.training_set()
    regions = task._bank.stored["regions"].float()
    broken = int(regions[:, 1].flatten(1).any(dim=1).nonzero()[0])
    true = task._bank.stored["convention"][:, 0] == AS_TRUE
    sound = int((true & ~regions[:, 1].flatten(1).any(dim=1)).nonzero()[0])
    batch = task.drawn(torch.tensor([broken, sound]), torch.device("cpu"))
    assert batch["convention"].tolist() == [AS_BSE, AS_TRUE]
    horizontal, vertical, plain = batch["trust"][0]
    assert torch.equal(horizontal, vertical)
    assert 0 < float((horizontal > 0).float().mean()) < 0.2
    assert not plain.any()
    assert not batch["seen"][0].any()
    assert float(batch["trust"][1].min()) > 0
    never = task_of(films, "learn_from=both", "bse_breaks=0", "drawn_breaks=0", cohort=cohort)
    never.training_set()
    assert never.drawn(torch.tensor([broken]), torch.device("cpu"))["convention"].tolist() == [AS_TRUE]


def test_a_run_goes_on_from_the_weights_it_is_given(films: Path, tmp_path: Path) -> None:
    first = task_of(films, "seed=1")
    save_release(
        tmp_path,
        "bone",
        first.modules["model"],
        {"architecture": first.architecture(), "input": {}, "title": "", "metrics": {}},
    )
    again = task_of(films, "seed=2", f"start_from={tmp_path / 'bone.safetensors'}")
    for name, value in first.modules["model"].state_dict().items():
        torch.testing.assert_close(again.modules["model"].state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_what_is_released_can_keep_a_share_of_the_weights_gone_on_from(films: Path, tmp_path: Path) -> None:
    first = task_of(films, "seed=1")
    content = {"architecture": first.architecture(), "input": {}, "title": "", "metrics": {}}
    save_release(tmp_path, "bone", first.modules["model"], content)
    start = f"start_from={tmp_path / 'bone.safetensors'}"
    again = task_of(films, "seed=2", start, "start_share=0.25")
    before = {name: value.clone() for name, value in again.modules["model"].state_dict().items()}
    with torch.no_grad():
        for value in again.modules["model"].parameters():
            value.add_(0.4)
    released = again.released(again.modules["model"])
    for name, _ in released.named_parameters():
        torch.testing.assert_close(released.state_dict()[name], before[name] + 0.3, atol=2e-3, rtol=2e-3)
    assert again.trained_by() == task_of(films, "seed=2", start).trained_by()
    save_release(tmp_path / "out", "bone", released, {**content, "recipe": again.recipe.model_dump()})
    of_the_card = [start, "start_share=0.25"]  # its evaluate_command has them
    _, measured, _ = finished("bone", tmp_path / "out" / "bone.safetensors", {"jsrt": films}, of_the_card)
    for name, value in released.state_dict().items():  # what was released, not mixed again
        torch.testing.assert_close(measured.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    with pytest.raises(RecipeError, match="start_share"):
        task_of(films, "start_share=0.5")


def test_fractured_chests_can_be_left_out(films: Path, cohort: Path) -> None:
    every = task_of(films, "learn_from=phantom", cohort=cohort)
    whole = task_of(films, "learn_from=phantom", "fractured=false", cohort=cohort)
    kept, drawn = every.training_set(), whole.training_set()
    assert 0 < len(drawn) < len(kept)  # type: ignore[arg-type]
    broken = whole._bank.stored["regions"][:, 1].flatten(1).any(dim=1)
    assert not broken[whole._drawn.groups[AS_TRUE]].any()


def test_the_two_conventions_differ_once_learned() -> None:
    network = MultiScaleGenerator(4, depth=5, conventions=2).eval()
    film = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ConventionScale):
                module.gain[1] = 2.0
        first, second = (network(film, torch.tensor([kind])) for kind in (0, 1))
        assert torch.equal(network(film), first)
        assert not torch.allclose(first, second)
        both = network(film.expand(2, 1, 64, 64), torch.tensor([0, 1]))
    assert torch.allclose(both, torch.cat((first, second)), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ((), MultiScaleGenerator, GradientDiscriminator),
        (("pretraining_share=1",), MultiScaleGenerator, None),
        (("adversarial_weight=0",), MultiScaleGenerator, None),
        (("network=resnet34-unet",), ResNetUNet, None),
        (("network=unet", "size=256"), PlainUNet, None),
        (("network=pix2pix", "size=256"), PlainUNet, PatchDiscriminator),
    ],
)
def test_every_network_is_what_its_recipe_says(
    films: Path, settings: tuple[str, ...], generator: type, discriminator: type | None
) -> None:
    modules = task_of(films, *settings).modules
    assert type(modules["model"]) is generator
    assert type(modules.get("discriminator")) is (discriminator or type(None))


def test_switches_are_seen_in_the_networks(films: Path) -> None:
    def count(*settings: str) -> tuple[int, ...]:
        modules = task_of(films, *settings).modules
        return tuple(
            sum(p.numel() for p in modules[name].parameters()) for name in ("model", "discriminator")
        )

    full = count()
    for switch in ("attention=false", "side_heads=false", "gradients=false"):
        assert count(switch) < full
    plain = task_of(films, "spectral_norm=false", "attention=false").modules["model"]
    assert not any("parametrizations" in key for key in plain.state_dict())
    assert count("norm=instance") < full


def test_a_network_is_rebuilt_from_what_its_card_will_say(films: Path) -> None:
    for settings in (
        ("norm=batch",),
        ("network=resnet34-unet",),
        ("network=unet", "size=256"),
        ("network=unet", "size=128"),
    ):
        task = task_of(films, *settings)
        again = build_generator(**task.architecture())
        again.load_state_dict(task.modules["model"].state_dict())


def test_the_u_net_has_a_level_less_for_films_that_do_not_halve_eight_times() -> None:
    recipes = {
        size: BoneRecipe.from_settings(["network=unet", f"size={size}"]) for size in (128, 256, 384, 512)
    }
    assert [recipe.halvings for recipe in recipes.values()] == [7, 8, 7, 8]
    with pytest.raises(RecipeError, match="multiples of 128"):
        BoneRecipe.from_settings(["network=unet", "size=192"])


@pytest.mark.parametrize(
    "setting",
    [
        "size=96",
        "size=128",
        "patch=100",
        "learn_from=nih",
        "network=gan",
        "held_out=phantoms",
        "held_out=jsrt",
    ],
)
def test_a_recipe_that_cannot_work_is_refused_in_a_sentence(setting: str) -> None:
    with pytest.raises(RecipeError, match=setting.split("=")[0]):
        BoneRecipe.from_settings([setting])


@pytest.mark.parametrize("setting", ["learn_from=nih", "held_out=phantoms"])
def test_a_name_that_is_no_set_is_answered_with_the_sets(setting: str) -> None:
    with pytest.raises(
        RecipeError, match=r"wanted: names of sets \(jsrt, phantom, dual-energy\), comma between"
    ):
        BoneRecipe.from_settings([setting])


def weights(task: BoneTask, out: Path, **options: Any) -> dict[str, Tensor]:
    return {
        name: value.clone() for name, value in fit(task, out, device="cpu", **options).state_dict().items()
    }


def test_a_run_that_is_resumed_ends_as_one_that_was_not(films: Path, cohort: Path, tmp_path: Path) -> None:
    """Scale, blend and discriminator depend on the place in the run alone."""
    settings = ("learn_from=both", "epochs=3", "epoch_samples=8", "batch_size=4", "pretraining_share=0.6",
                "size=128", "coarse_share=0.5", "limit=14")  # fmt: skip
    whole = weights(task_of(films, *settings, cohort=cohort), tmp_path / "whole")

    def stop(step: int, total: int, losses: object) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(task_of(films, *settings, cohort=cohort), tmp_path / "cut", device="cpu", on_step=stop)
    resumed = weights(task_of(films, *settings, cohort=cohort), tmp_path / "cut", resume=True)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name)
    log = EventAccumulator(str(tmp_path / "whole" / "tensorboard")).Reload()
    assert "validation/jsrt" in log.Tags()["images"]


def test_all_films_of_a_set_can_be_measured_on(films: Path, cohort: Path) -> None:
    test = task_of(films, cohort=cohort).parts.measured("phantom")
    every = task_of(films, "held_out=phantom", cohort=cohort).parts.measured("phantom")
    assert len(test) < len(every) == 6


def test_figures_that_are_not_learned_from_do_not_hinder_resuming(films: Path) -> None:
    first, second = task_of(films), task_of(films, "test_films=3", "validation_films=1")
    assert first.trained_by() == second.trained_by()
    assert task_of(films, "phantom_share=0.1").trained_by() != first.trained_by()


def test_errors_around_drawn_breaks_count_more(films: Path) -> None:
    settings = ("learn_from=jsrt", "break_weight=10", "tone=0")
    torch.manual_seed(0)
    trust = {}
    for most in (0, 8):
        task = task_of(films, *settings, f"drawn_breaks={most}")
        task.training_set()
        trust[most] = task.drawn(torch.tensor([0, 1]), torch.device("cpu"))["trust"]
    assert float(trust[0].max()) <= 1.0
    assert float(trust[8].max()) == pytest.approx(11.0, abs=0.1)


@pytest.mark.parametrize(("drawn", "healed"), [("drawn_breaks=4", 1.0), ("drawn_tissue=4", 0.0)])
def test_what_is_drawn_is_learned_from(films: Path, tmp_path: Path, drawn: str, healed: float) -> None:
    """A layer that begins empty does not change: it heals all breaks, and passes no soft tissue on."""
    seen: list[dict[str, float]] = []
    task = task_of(films, drawn, "tone=0", "epochs=1", "batch_size=2")
    fit(task, tmp_path / "run", device="cpu", on_step=lambda _step, _total, losses: seen.append(dict(losses)))
    assert seen[0]["change"] == pytest.approx(healed, abs=0.3)
