"""The networks in use: their model cards, as they are shipped."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from suite.accounts.principal import Scope
from suite.errors import NotFoundError
from suite.stages.weights import ModelCard, shipped_cards
from web.api.resources import Resource
from web.api.shapes import Shape

resource = Resource("models", reads=Scope.STUDIES_READ, writes=Scope.ADMIN)


class ModelShape(Shape):
    """One network."""

    name: str
    title: str
    sha256: str = Field(description="Of its weights; reports and reviews name the same")
    parameters: int
    card: dict[str, Any] = Field(
        description="The whole model card: what it learned from, how well it does, what it is not for"
    )


class ModelList(Shape):
    """All networks."""

    items: list[ModelShape]


@resource.get("/models", "The networks", ModelList)
def list_models() -> ModelList:
    """The networks that are installed, with their model cards."""
    return ModelList(items=[_shape(card) for card in shipped_cards()])


@resource.get("/models/<model>", "The network", ModelShape)
def get_model(model: str) -> ModelShape:
    """One network."""
    for card in shipped_cards():
        if card.name == model:
            return _shape(card)
    raise NotFoundError(f"{model}: no network of that name is installed; list them to see which are.")


def _shape(card: ModelCard) -> ModelShape:
    content = dict(card.content)
    return ModelShape(
        name=card.name,
        title=str(content["title"]),
        sha256=card.sha256,
        parameters=int(content["parameters"]),
        card=content,
    )
