"""What teaches the diagnosis network: masks where there are any, uncertain labels by policy, equal starts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from classifiers.densenet import load_imagenet
from classifiers.diagnosis import head_calibration
from classifiers.diagnosis.batches import StudyBatch
from classifiers.diagnosis.losses import (
    class_weights,
    map_loss,
    map_targets,
    masked_bce,
    masked_gce,
    multiclass_loss,
    smooth,
)
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.diagnosis.objective import Objective
from classifiers.diagnosis.parts import training_positives
from classifiers.diagnosis.pooling import MapPooling, log_sum_exp
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.training import RENEWED, DiagnosisTask
from classifiers.diagnosis.uncertain import UncertainPolicy
from classifiers.diagnosis.withdrawal import shown_heads
from suite.datasets.manifest import Manifest
from suite.errors import DatasetError, RecipeError, WeightsError
from suite.findings import CODES
from suite.training import command
from suite.training.evaluation import Evaluation
from tests.made_cohort import cohort, cohort_folder  # noqa: F401 - fixtures

LAYERS = len(CODES)
FRACTURE = CODES.index("fracture")


def test_a_soft_maximum_lies_between_mean_and_maximum() -> None:
    maps = torch.zeros(1, 32, 32)
    maps[0, 3, 4] = 6.0
    pooled = float(log_sum_exp(maps))
    expected = math.log((1023 + math.exp(24.0)) / 1024) / 4
    assert pooled == pytest.approx(expected, rel=1e-5)
    assert float(maps.mean()) < pooled < 6.0
    assert float(log_sum_exp(torch.full((1, 8, 8), -2.5))) == pytest.approx(-2.5)


def test_mean_pooling_has_nothing_to_learn_and_the_other_two_numbers_a_finding() -> None:
    maps = torch.randn(2, LAYERS, 5, 5)
    mean = MapPooling("mean", LAYERS)
    assert torch.equal(mean(maps), maps.mean((-2, -1)))
    assert list(mean.parameters()) == []
    assert sum(value.numel() for value in MapPooling("lse", LAYERS).parameters()) == 2 * LAYERS


# maps


def test_a_cell_is_the_finding_where_any_part_of_it_is() -> None:
    masks = torch.zeros(1, 1, 16, 16)
    masks[0, 0, 5, 9] = 1.0
    assert map_targets(masks, (4, 4))[0, 0].nonzero().tolist() == [[1, 2]]
    assert not map_targets(0.2 * masks, (4, 4)).any()


def supervised(labels: torch.Tensor, has_masks: torch.Tensor) -> torch.Tensor:
    """Gradient of the map loss; the first finding of the first study has one cell, nobody else has any."""
    maps = torch.zeros(len(labels), labels.shape[1], 4, 4, requires_grad=True)
    targets = torch.zeros_like(maps)
    targets[0, 0, 1, 2] = 1.0
    map_loss(maps, targets, labels, has_masks, 0.75).backward()
    assert maps.grad is not None
    return maps.grad


def test_only_studies_with_masks_teach_the_maps() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    gradient = supervised(labels, torch.tensor([True, False]))
    assert gradient[0].any()
    assert not gradient[1].any()
    assert not supervised(labels, torch.tensor([False, False])).any()


def test_unknown_labels_and_findings_out_of_view_teach_nothing() -> None:
    labels = torch.tensor([[1.0, math.nan], [1.0, 0.0]])  # the second study's finding does not show
    gradient = supervised(labels, torch.tensor([True, True]))
    assert gradient[0, 0].any()
    assert not gradient[0, 1].any()
    assert not gradient[1, 0].any()
    assert gradient[1, 1].any()


def test_the_one_cell_is_pulled_up_and_weighs_more_than_the_others() -> None:
    gradient = supervised(torch.tensor([[1.0]]), torch.tensor([True]))[0, 0]
    assert gradient[1, 2] < 0
    others = gradient[gradient > 0]
    assert len(others) == 15
    ratio = float(-gradient[1, 2] / others[0])
    assert ratio == pytest.approx(15**0.75, rel=1e-4)


# labels


def test_policies_for_uncertain_labels() -> None:
    policy = UncertainPolicy.parse("zeros,edema:ones,fracture:smoothed,pneumonia:ignore")
    labels = torch.full((1, LAYERS), math.nan)
    labels[0, 0] = 1.0
    uncertain = torch.ones(1, LAYERS, dtype=torch.bool)
    uncertain[0, 0] = False
    targets = policy.targets(labels, uncertain)[0]
    assert targets[0] == 1.0
    assert targets[CODES.index("edema")] == 1.0
    assert math.isnan(targets[CODES.index("pneumonia")])
    assert 0.55 <= float(targets[FRACTURE]) <= 0.85
    assert targets[CODES.index("atelectasis")] == 0.0


def test_no_policy_changes_a_label_that_is_merely_unknown() -> None:
    labels = torch.full((2, LAYERS), math.nan)
    nothing = torch.zeros(2, LAYERS, dtype=torch.bool)
    for text in ("ones", "zeros", "smoothed", "multiclass"):
        assert UncertainPolicy.parse(text).targets(labels, nothing).isnan().all()


@pytest.mark.parametrize(
    ("text", "words"),
    [("maybe", "policy 'maybe'; use one of ignore"), ("nose:ones", "finding 'nose'; use one of enlarged_")],
)
def test_a_policy_that_does_not_exist_is_named(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        UncertainPolicy.parse(text)


def test_three_classes_leave_the_probability_of_present_against_absent() -> None:
    """Cross-entropy by hand: softmax of 0 (absent), z (present) and u (uncertain)."""
    z, u = torch.tensor([[0.7, -0.2, 0.1, 5.0]]), torch.tensor([[0.3, 0.9, -1.0, 5.0]])
    labels = torch.tensor([[1.0, 0.0, math.nan, math.nan]])
    uncertain = torch.tensor([[False, False, True, False]])
    each = []
    for index, chosen in enumerate((z[0, 0], torch.tensor(0.0), u[0, 2])):
        total = torch.logsumexp(torch.stack((torch.tensor(0.0), z[0, index], u[0, index])), 0)
        each.append(float(total - chosen))
    assert float(multiclass_loss(z, u, labels, uncertain)) == pytest.approx(np.mean(each), rel=1e-5)


def test_rare_findings_weigh_more_up_to_a_limit() -> None:
    labels = torch.tensor([[1.0, 1.0, 0.0]] + [[0.0, 1.0, 0.0]] * 9 + [[math.nan] * 3])
    assert class_weights(labels, "none") is None
    balanced, root = class_weights(labels, "balanced"), class_weights(labels, "sqrt")
    assert balanced is not None
    assert root is not None
    assert balanced.tolist() == pytest.approx([9.0, 1.0, 10.0])
    assert root.tolist() == pytest.approx([3.0, 1.0, math.sqrt(10.0)])
    twice = masked_bce(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([4.0, 1.0, 1.0]))
    assert float(twice) == pytest.approx((4 + 1 + 1) / 3 * math.log(2))


def noisy_labels() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels (40, 13) in double precision: hard, soft and unknown ones."""
    rng = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(40, LAYERS, generator=rng, dtype=torch.float64)
    labels = torch.randint(0, 2, (40, LAYERS), generator=rng).double()
    labels[30:] = torch.rand(10, LAYERS, generator=rng, dtype=torch.float64)
    labels[::7, ::3] = math.nan
    return logits, labels


def test_generalised_cross_entropy_is_cross_entropy_where_q_vanishes() -> None:
    logits, labels = noisy_labels()
    weight = torch.linspace(1.0, 20.0, LAYERS, dtype=torch.float64)
    for q, close in ((1e-3, 2e-2), (1e-8, 1e-6)):
        found, expected = masked_gce(logits, labels, q, weight), masked_bce(logits, labels, weight)
        assert float(found) == pytest.approx(float(expected), rel=close)


def test_generalised_cross_entropy_is_the_absolute_error_at_one() -> None:
    logits, labels = noisy_labels()
    known = ~labels[:30].isnan()
    error = (torch.sigmoid(logits[:30]) - labels[:30]).abs()[known].mean()
    assert float(masked_gce(logits[:30], labels[:30], 1.0)) == pytest.approx(float(error))


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_its_gradient_is_that_of_cross_entropy_times_a_power_of_the_probability(q: float) -> None:
    logits, labels = noisy_labels()
    logits, labels = logits[:30].requires_grad_(), labels[:30]
    masked_gce(logits, labels, q).backward()
    probability = torch.sigmoid(logits.detach())
    of_label = torch.where(labels == 1.0, probability, 1.0 - probability)
    known = ~labels.isnan()
    expected = (probability - labels.nan_to_num(0.0)) * of_label**q * known / known.sum()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, expected, rtol=1e-9, atol=1e-15)
    assert torch.autograd.gradcheck(lambda z: masked_gce(z, labels, q), logits.detach().requires_grad_())


def test_impossible_labels_have_finite_losses_and_next_to_no_pull() -> None:
    logits = torch.tensor([[-60.0, 60.0, 80.0]], requires_grad=True)
    loss = masked_gce(logits, torch.tensor([[1.0, 0.0, math.nan]]), 0.7)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1 / 0.7)
    assert logits.grad is not None
    assert float(logits.grad[0, :2].abs().max()) < 1e-12
    assert float(logits.grad[0, 2]) == 0.0


def test_three_classes_are_generalised_alike() -> None:
    z, u = torch.tensor([[0.7, -0.2, 0.1]]), torch.tensor([[0.3, 0.9, -1.0]])
    labels = torch.tensor([[1.0, 0.0, math.nan]])
    uncertain = torch.tensor([[False, False, True]])
    stacked = torch.stack((torch.zeros(3), z[0], u[0]))
    p = torch.softmax(stacked, 0)[[1, 0, 2], [0, 1, 2]]
    assert float(multiclass_loss(z, u, labels, uncertain, 0.7)) == pytest.approx(
        float(((1 - p**0.7) / 0.7).mean())
    )
    assert float(multiclass_loss(z, u, labels, uncertain, 1e-5)) == pytest.approx(
        float(multiclass_loss(z, u, labels, uncertain)), rel=1e-3
    )


def test_the_recipe_chooses_it_for_the_final_and_the_branches_logits() -> None:
    torch.manual_seed(0)
    output = DualBranchDenseNet(1, lateral=False).eval()(torch.rand(2, 1, 64, 64))
    labels, nothing = torch.randint(0, 2, (2, LAYERS)).float(), torch.zeros(2, 1, 0, 0)
    alone = torch.zeros(2, dtype=torch.bool)
    studies = StudyBatch(nothing, nothing, alone, labels, labels < 0, nothing, nothing, alone, nothing)
    for settings, q in ((["noise=gce"], 0.7), (["noise=gce", "gce_q=0.4"], 0.4), (["gce_q=0.4"], 0.0)):
        recipe = DiagnosisRecipe.from_settings([*settings, "map_weight=0", "branch_weight=1"])
        parts = Objective(recipe, UncertainPolicy.parse("ignore"))(output, studies)
        for name, logits in (("main", output.logits), ("branch", output.frontal_logits)):
            expected = masked_gce(logits, labels, q) if q else masked_bce(logits, labels)
            assert float(parts[name].detach()) == pytest.approx(float(expected.detach())), (settings, name)


def test_smoothing_leaves_unknown_labels_unknown() -> None:
    smoothed = smooth(torch.tensor([1.0, 0.0, math.nan]), 0.1)
    assert smoothed[:2].tolist() == pytest.approx([0.95, 0.05])
    assert math.isnan(smoothed[2])


# networks


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"frontal_channels": 3}, 8_529_575),  # the card of the first release
        ({"frontal_channels": 2}, 8_529_575 - 49 * 64),
        ({"frontal_channels": 1}, 8_529_575 - 2 * 49 * 64),
        # torchvision's 7,978,856 with 13 outputs instead of 1,000, and the branch's own head
        ({"lateral": False}, 7_978_856 - 987 * 1025 + 2 * 256 + 257 * 13),
        ({"map_stride": 8}, 8_529_575 + 2 * (2 * 256 + 256 * 13)),
        ({"pooling": "lse"}, 8_529_575 + 2 * 26),
        ({"fuse_branches": True}, 8_529_575 + 26),
        ({"multiclass": True}, 8_529_575 + 1025 * 13),
    ],
)
def test_networks_have_the_parameters_their_layers_add_up_to(
    arguments: dict[str, object], parameters: int
) -> None:
    network = DualBranchDenseNet(**arguments)  # type: ignore[arg-type]
    assert sum(value.numel() for value in network.parameters()) == parameters


def task(data: Manifest, **values: object) -> DiagnosisTask:
    recipe = DiagnosisRecipe.checked({"size": 64, "lung_source": "true", "bone_source": "true", **values})
    return DiagnosisTask(recipe, {"phantom": data})


def built(data: Manifest, **values: object) -> DualBranchDenseNet:
    torch.manual_seed(11)
    own = task(data, **values)
    own.build()
    network = own.modules["model"]
    assert isinstance(network, DualBranchDenseNet)
    return network


def test_configurations_start_from_the_same_weights(cohort: Manifest) -> None:  # noqa: F811
    full = built(cohort).state_dict()
    for configuration in ("single", "dual", "dual+lungs"):
        own = built(cohort, configuration=configuration).state_dict()
        for name, value in own.items():
            expected = full[name]
            assert torch.equal(value, expected[:, : value.shape[1]] if value.ndim == 4 else expected), name


def test_maps_at_stride_8_have_cells_of_8_pixels_and_fusion_adds_the_branches(
    cohort: Manifest,  # noqa: F811
) -> None:
    network = built(cohort, dropout=0.0).eval()
    frontal, lateral = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        output = network(frontal, lateral)
        assert output.frontal_maps.shape == (2, LAYERS, 8, 8)
        network.fuse_branches = False
        alone = network(frontal, lateral)
    assert output.lateral_logits is not None
    added = 0.5 * output.frontal_logits + 0.5 * output.lateral_logits
    assert torch.allclose(output.logits, alone.logits + added, atol=1e-5)


def test_a_hidden_lateral_is_an_absent_one_to_the_shared_blocks(cohort: Manifest) -> None:  # noqa: F811
    network = built(cohort, dropout=0.0).eval()
    frontal, lateral = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        hidden = network(frontal, lateral, None, torch.tensor([True, False]))
        absent, seen = network(frontal), network(frontal, lateral)
    assert torch.allclose(hidden.logits[1], absent.logits[1], atol=1e-5)
    assert torch.allclose(hidden.logits[0], seen.logits[0], atol=1e-5)
    assert hidden.lateral_maps is not None
    assert hidden.lateral_maps[1].any()  # its own head still learns from it


def test_imagenet_weights_see_a_grey_film_as_three_equal_planes(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    colour = timm.create_model("densenet121", num_classes=10).eval()
    path = tmp_path / "densenet121.safetensors"
    save_file(colour.state_dict(), path)
    network = DualBranchDenseNet(1, lateral=False).eval()
    network.start_from_imagenet(load_imagenet(path))
    film = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = colour.forward_features(((film - 0.5) / 0.25).repeat(1, 3, 1, 1))
        found = network.trunk(network.frontal((film - 0.5) / 0.25))
    assert torch.allclose(found, expected, atol=1e-4)
    path.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="give timm's densenet121 in that format"):
        load_imagenet(path)


def test_the_papers_network_can_be_set_back() -> None:
    settings = ["map_stride=16", "pooling=mean", "fuse_branches=false", "map_weight=0"]
    recipe = DiagnosisRecipe.from_settings(settings)
    assert (recipe.map_stride, recipe.pooling, recipe.fuse_branches, recipe.map_weight) == (
        16,
        "mean",
        False,
        0,
    )
    with pytest.raises(RecipeError, match="'map_stride' has the value '12'"):
        DiagnosisRecipe.from_settings(["map_stride=12"])


@pytest.mark.parametrize("fuse", [False, True])
def test_the_logits_without_the_lateral_are_those_of_the_frontal_film_alone(fuse: bool) -> None:
    torch.manual_seed(0)
    network = DualBranchDenseNet(3, fuse_branches=fuse).eval()
    torch.nn.init.normal_(network.absent)
    frontal, lateral = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        both = network(frontal, lateral, torch.tensor([True, False]), compare_lateral=True)
        alone = network(frontal).logits
        assert network(frontal, compare_lateral=True).alone is None
        assert network(frontal, lateral).alone is None
    assert torch.allclose(both.alone, alone, atol=1e-5)
    assert not torch.allclose(both.logits[0], alone[0], atol=1e-4)
    assert torch.allclose(both.logits[1], alone[1], atol=1e-5)


# the whole


def test_it_learns_from_computed_films_with_masks_and_goes_on_from_its_own_card(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    settings = ["size=64", "epochs=1", "batch_size=4", "precision=32-true", "limit=8", "uncertain=multiclass"]
    settings += ["lung_source=true", "bone_source=true", "configuration=dual+lungs+bone"]
    seen: list[set[str]] = []
    card = command.train(
        "diagnosis", {"phantom": cohort_folder}, settings, tmp_path / "first", device="cpu",
        on_step=lambda _step, _total, losses: seen.append(set(losses)),
    )  # fmt: skip
    assert seen[0] == {"main", "branch", "map"}
    assert card.content["planes"] == ["x-ray", "lung-segmented", "true-bone"]
    assert card.content["input_weights"] == {"lungs": None, "bone": None}  # the set's own
    assert card.content["views"]["lateral"] == {"trained": False, "studies": 8}  # too few to count
    assert "phantom" in card.content["limits"]
    assert card.content["metrics"]["hit_rate_fracture"]["n"] > 0
    again = command.prepare("diagnosis", {"phantom": cohort_folder}, [*settings, f"start_from={card.path}"])
    again.build()
    shipped = card.weights_path
    assert shipped.is_file()
    from safetensors.torch import load_file

    stored = load_file(shipped)
    own = again.modules["model"].state_dict()
    assert all(torch.equal(own[name].half(), value.half()) for name, value in stored.items())

    renewed = tmp_path / "renewed"
    changed = {**json.loads(card.path.read_text()), "input_weights": {"lungs": "1" * 64, "bone": None}}
    for head in changed["heads"].values():
        head["training_positives_by_set"] = {"nih": 7, "phantom": 40}
    card.path.write_text(json.dumps(changed))
    command.evaluate("diagnosis", shipped, {"phantom": cohort_folder}, [], renewed, renew=True)
    assert (renewed / "diagnosis.safetensors").read_bytes() == shipped.read_bytes()
    anew = json.loads((renewed / "diagnosis.json").read_text())
    assert anew["input_weights"] == {"lungs": None, "bone": None}
    assert RENEWED in anew["notes"]
    assert anew["heads"]["edema"]["training_positives"] == 47  # what it learned from, not what it was shown
    assert {key: anew[key] for key in ("sha256", "recipe", "data", "limits")} == {
        key: changed[key] for key in ("sha256", "recipe", "data", "limits")
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"learn_from": "nih"}, "learns from nih, which is not given; add --data nih=DIR"),
        ({"configuration": "dual", "without": "x-ray"}, "has no frontal plane"),
        ({"uncertain": "perhaps"}, "policy 'perhaps'"),
    ],
)
def test_bad_recipes_are_named(cohort: Manifest, values: dict[str, object], words: str) -> None:  # noqa: F811
    with pytest.raises(RecipeError, match=words):
        task(cohort, **values).learned_from()


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ((0.8, 0.0, 0.2), "the validation part of phantom has no film; give more patients"),
        ((0.8, 0.2, 0.0), "the test part of phantom has no film; give more patients"),
    ],
)
def test_a_part_without_films_is_said_before_anything_is_trained(
    cohort: Manifest,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    fractions: tuple[float, float, float],
    words: str,
) -> None:
    """Without a validation part the last epoch would pass for the best."""
    monkeypatch.setattr("classifiers.learned_sets.FRACTIONS", fractions)
    with pytest.raises(DatasetError, match=words):
        task(cohort).training_set()


@pytest.mark.parametrize(
    ("stated", "shown"),
    [({}, True), ({"lungs": None}, False), ({"bone": "1" * 64}, False)],
)
def test_what_a_set_brings_along_and_no_film_does_shows_readers_nothing(
    cohort: Manifest,  # noqa: F811
    stated: dict[str, str | None],
    shown: bool,
) -> None:
    """Scores of the phantoms' own lungs and bones: the stage would withdraw their calibrations."""
    weights = task(cohort)._input_weights
    assert weights == {"lungs": None, "bone": None}
    card = {"input_weights": stated, "heads": {"edema": {}}}
    assert shown_heads(card, weights) == ({"edema": {}} if shown else None)


def test_a_card_calls_a_head_not_trained_that_did_not_learn(
    cohort: Manifest,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(head_calibration, "MIN_TRAINING_POSITIVES", 1)
    own = task(cohort)
    taught = training_positives(own._sets)["fracture"]["phantom"]
    assert taught > 1

    def not_trained() -> list[str]:
        said = own.describe()["limits"].split("not trained: ")[1]
        return said.split(";")[0].split(".")[0].split(", ")

    assert "fracture" not in not_trained()
    heads = {code: {"trained": code != "fracture"} for code in CODES}
    monkeypatch.setattr(own, "_predictions", lambda *_, **__: {})
    monkeypatch.setattr(
        "classifiers.diagnosis.training.measured", lambda *_, **__: Evaluation({}, extras={"heads": heads})
    )
    own.evaluate(torch.nn.Identity(), "test")
    assert "fracture" in not_trained()
