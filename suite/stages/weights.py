"""Weights and their model cards: safetensors only, the sha256 checked before a tensor is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from suite.errors import InputError, NotShippedError, WeightsError
from suite.storage import make_folder, write_bytes, write_text

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "radsuite.model_card/1"
PACKAGES = ("segmentation", "gan", "classifiers")
"""Packages that may ship weights; named, not imported."""

REQUIRED = ("name", "sha256", "architecture", "input", "parameters", "title", "metrics")
"""What every card says; a network may add more."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a weights file is, what it learned from, how well it does, and what it must not be used for."""

    path: Path
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def sha256(self) -> str:
        return str(self.content["sha256"])

    @property
    def architecture(self) -> dict[str, Any]:
        return dict(self.content["architecture"])

    @property
    def weights_path(self) -> Path:
        return self.path.with_suffix(".safetensors")


def read_card(path: Path) -> ModelCard:
    """The model card at ``path``.

    Raises:
        WeightsError: it is missing, not JSON, of another format, or incomplete.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise WeightsError(
            f"{path}: is no readable model card ({error.strerror}); it belongs beside its .safetensors file, "
            "under the same name."
        ) from None
    except ValueError as error:
        raise WeightsError(
            f"{path}: is no readable model card ({error}); install the package again."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise WeightsError(f"{path}: is not a model card of the format {FORMAT}; retrain with this version.")
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        raise WeightsError(f"{path}: the model card lacks {', '.join(missing)}; install the package again.")
    return ModelCard(path, content)


def shipped_cards() -> tuple[ModelCard, ...]:
    """The cards of all weights that are installed. Imports no model package and no torch."""
    cards = []
    for package in PACKAGES:
        spec = find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            cards += [read_card(path) for path in sorted((Path(location) / "weights").glob("*.json"))]
    return tuple(cards)


_IN_PLACE: ContextVar[Mapping[str, Path]] = ContextVar("weights_in_place", default=MappingProxyType({}))


@contextmanager
def in_place_of_shipped(name: str, card: Path) -> Iterator[None]:
    """A stage built in this block loads the weights of ``card`` where it would load the shipped ``name``."""
    token = _IN_PLACE.set({**_IN_PLACE.get(), name: card})
    try:
        yield
    finally:
        _IN_PLACE.reset(token)


@contextmanager
def own_weights(paths: Sequence[Path]) -> Iterator[None]:
    """Stages built in this block load weights of one's own where they would load shipped ones of that name.

    Args:
        paths: model cards, or the ``.safetensors`` files beside them.

    Raises:
        InputError: no weights of that name ship, so no stage would read them.
        WeightsError: a card cannot be read.
    """
    with ExitStack() as stack:
        for path in paths:
            card = read_card(path.with_suffix(".json"))
            names = sorted(shipped.name for shipped in shipped_cards())
            if card.name not in names:
                raise InputError(
                    f"{path}: is {card.name}, of which no stage reads weights; "
                    f"give one of {', '.join(names)}."
                )
            stack.enter_context(in_place_of_shipped(card.name, card.path))
        yield


def shipped_card(package: str, name: str) -> ModelCard:
    """The card of the weights ``name`` in ``package``, or of those that stand in for them.

    Raises:
        NotShippedError: the package ships no such weights.
        WeightsError: the card that stands in cannot be read.
    """
    if name in _IN_PLACE.get():
        return read_card(_IN_PLACE.get()[name])
    resource = files(package) / "weights" / f"{name}.json"
    if not resource.is_file():
        raise NotShippedError(
            f"{package} ships no weights {name!r}; train them with `radsuite train {name}`."
        )
    with as_file(resource) as path:
        return read_card(path)


def weights_in_use(name: str) -> str | None:
    """sha256 of the weights ``name`` that a stage built now would load; ``None`` where none are installed."""
    if name in _IN_PLACE.get():
        return read_card(_IN_PLACE.get()[name]).sha256
    return next((card.sha256 for card in shipped_cards() if card.name == name), None)


@lru_cache(maxsize=32)
def _sha256(path: Path, modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_state(card: ModelCard) -> dict[str, Tensor]:
    """The tensors of the card's weights file, widened to float32.

    Raises:
        WeightsError: the file is missing or its sha256 is not the card's.
    """
    import torch
    from safetensors.torch import load_file

    path = card.weights_path
    if not path.is_file():
        raise WeightsError(f"{path}: the weights of {card.name} are missing; install the package again.")
    if _sha256(path, path.stat().st_mtime_ns) != card.sha256:
        raise WeightsError(
            f"{path}: does not have the sha256 its model card states; install the package again."
        )
    return {
        key: value.to(torch.float32) if value.is_floating_point() else value
        for key, value in load_file(path).items()
    }


def save_release(folder: Path, name: str, model: nn.Module, content: Mapping[str, Any]) -> ModelCard:
    """Write ``NAME.safetensors`` (fp16) and ``NAME.json`` into ``folder``.

    Args:
        model: the network; running counts of batch normalisation are left out, they serve training only.
        content: the card without ``format``, ``name``, ``sha256`` and ``parameters``, which are added.
    """
    import torch
    from safetensors.torch import save

    state = {
        key: value.detach().cpu().to(torch.float16).contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    make_folder(folder)
    payload = save(state)
    write_bytes(folder / f"{name}.safetensors", payload)
    card = {
        "format": FORMAT,
        "name": name,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **content,
    }
    write_text(folder / f"{name}.json", json.dumps(card, indent=2) + "\n")
    return read_card(folder / f"{name}.json")


def load_into(model: nn.Module, card: ModelCard) -> nn.Module:
    """``model`` with the card's weights, in evaluation mode.

    Raises:
        WeightsError: the file is missing, altered, or of another architecture.
    """
    state = load_state(card)
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError:
        raise _other_architecture(card, "tensors of other shapes") from None
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise _other_architecture(card, f"{len(missing)} tensors missing, {len(unexpected)} too many")
    return model.eval()


def rebuild(factory: Callable[..., nn.Module], card: ModelCard) -> nn.Module:
    """The network the card describes, built by ``factory(**card.architecture)``, in evaluation mode.

    Raises:
        WeightsError: as for ``load_into``; also when the card names arguments the network does not have.
    """
    try:
        model = factory(**card.architecture)
    except TypeError as error:
        raise _other_architecture(card, str(error)) from None
    return load_into(model, card)


def _other_architecture(card: ModelCard, what: str) -> WeightsError:
    return WeightsError(
        f"{card.weights_path}: holds another architecture than this version builds ({what}); "
        "install the package again."
    )
