"""What a network brings to the training loop: its modules, its data, its loss, and how it is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from suite.datasets.manifest import Manifest, SplitName
from suite.training.evaluation import Evaluation
from suite.training.recipe import Recipe
from suite.training.schedule import learning_rate_factor

Batch = Mapping[str, Tensor]


class Task(ABC):
    """One network with its loss; the loop in ``suite.training.loop`` knows nothing else of it.

    A task is built from a recipe and the data sets named on the command line. ``modules["model"]`` is the
    network that ships; a GAN adds ``"discriminator"``.
    """

    name: ClassVar[str]
    recipe_type: ClassVar[type[Recipe]]
    datasets: ClassVar[tuple[str, ...]]
    """Names of the data sets it can learn from or be measured on, for help texts and messages."""

    required: ClassVar[tuple[str, ...]] = ()
    """Those of ``datasets`` without which it cannot be built."""

    initial_weights: ClassVar[tuple[str, ...]] = ()
    """Recipe keys that name files to start from; a trained network is rebuilt without them."""

    without_start: ClassVar[Mapping[str, Any]] = {}
    """Recipe keys that need a file to start from, with their values for a network rebuilt without one."""

    companion_weights: ClassVar[tuple[str, ...]] = ()
    """Recipe keys that name weights of other networks it is measured with."""

    measuring: ClassVar[tuple[str, ...]] = ()
    """Recipe keys that no step of training depends on, but what is measured or released: a resumed run may
    change them."""

    older_cards: ClassVar[Mapping[str, Any]] = {}
    """Values of recipe keys for cards that are older than the keys, whose usual values were not theirs."""

    channels: ClassVar[int] = 1
    """Planes of the network's frontal input."""

    monitor: ClassVar[tuple[str, str]] = ("loss", "min")
    """Validation figure that picks the best epoch, and the direction that is better."""

    renewable: ClassVar[bool] = False
    """Whether its card holds more than figures, which is to be measured anew at times, see ``renewed``."""

    measured_card: Mapping[str, Any] | None = None
    """Content of the model card of finished weights that ``evaluate`` measures; ``None`` in training."""

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        self.recipe = recipe
        self.data = data
        self.modules: dict[str, nn.Module] = {}

    @abstractmethod
    def build(self) -> None:
        """Fill ``modules``; called once, under the recipe's seed."""

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """One optimiser for each module that learns, by the module's name."""

    @abstractmethod
    def training_set(self) -> Dataset[Batch]:
        """Items are mappings of tensors; augmentation draws from torch's generator only."""

    @abstractmethod
    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        """Forward, backward and step for one batch; returns the losses by name."""

    @abstractmethod
    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Measure ``model`` on one part of the data."""

    def renewed(self, card: Mapping[str, Any], evaluation: Evaluation) -> dict[str, Any]:
        """The content of a finished network's card with all that ``evaluation`` measured of its weights.

        Only for tasks that are ``renewable``.
        """
        notes = list(dict.fromkeys([*card["notes"], *evaluation.notes]))
        return {**card, "metrics": evaluation.as_json(), "notes": notes, **evaluation.extras}

    def trained_by(self) -> dict[str, Any]:
        """What the weights depend on: the recipe without what they are only measured by."""
        left_out = (*self.companion_weights, *self.measuring)
        return {key: value for key, value in self.recipe.model_dump().items() if key not in left_out}

    def released(self, model: nn.Module) -> nn.Module:
        """What is measured and shipped of the network that training ended with."""
        return model

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Arguments that rebuild the shipped network; they go into its model card."""

    def learned_from(self) -> tuple[str, ...]:
        """Names of the data sets whose films it learns from, without those that are measured on only."""
        return tuple(sorted(self.data))

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        """Factor on the rate of optimiser ``name`` at ``step`` of ``total``; a pure function."""
        return learning_rate_factor(step, total, self.recipe.warmup)

    def momentum(self, name: str, step: int, total: int) -> float | None:
        """Momentum (Adam's first beta) of optimiser ``name`` at ``step``; ``None``: as it was made."""
        return None

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 - most networks do the same in every epoch
        """Called before each epoch; progressive training changes its scale here."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The card's words: ``title``, ``intended_use``, ``limits``, ``licence``, ``sources``."""
