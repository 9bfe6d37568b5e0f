"""Model cards: what each network is, what it learned from, what it was measured to do, what it is not for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template

from suite.datasets.registry import is_computed
from suite.findings import NAMES
from suite.stages.weights import ModelCard, shipped_cards
from web.research.card_words import sentence_words, set_words
from web.research.figure_groups import FigureGroup, groups_of
from web.research.figure_words import words
from web.research.headlines import PARTLY_COMPUTED, Headline, headlines_of, set_means
from web.research.plots import Figure, Forest, forest

blueprint = Blueprint("cards", __name__)

_MANY = 40
"""A card with as many figures shows them in groups that are folded."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One forest plot of a card, and what it shows."""

    title: str
    drawing: Forest


@dataclass(frozen=True, slots=True)
class Section:
    """Figures of a card that its page shows together: ``(key, words, figure)``, their plots, what leads them.

    A section whose ``is_open`` is ``None`` is not folded.
    """

    title: str
    slug: str
    rows: tuple[tuple[str, str, Mapping[str, Any]], ...]
    plots: tuple[Plot, ...]
    is_open: bool | None = None
    leads: tuple[Headline, ...] = ()


@blueprint.get("/research")
def index() -> str:
    """All networks with their headline figures, and whether those are of computed films."""
    cards = [
        (card, headlines_of(card.content["metrics"]), _learned_from_computed(card.content))
        for card in shipped_cards()
    ]
    return render_template("research/cards.html", cards=cards)


@blueprint.get("/research/models/<name>")
def show(name: str) -> str:
    """One network's card with its figures as plots. 404 when none of that name is installed."""
    card = card_named(name)
    return render_template(
        "research/card.html",
        card=card,
        sections=sections_of(card.content["metrics"], card.content.get("data") or ()),
        set_words=set_words,
        sentence_words=sentence_words,
    )


_ERRORS = {"ece", "brier", "mae"}
_LINES = {"slope", "intercept"}
"""Parts of figures' names: the errors of probabilities, and what is honest at 1 or 0 and drawn nowhere."""


def card_named(name: str) -> ModelCard:
    """The installed card of that name; 404 without one."""
    found = next((card for card in shipped_cards() if card.name == name), None)
    if found is None:
        abort(404, "No network of that name is installed; look for it in the list of networks.")
    return found


def sections_of(metrics: Mapping[str, Any], data: Iterable[str] = ()) -> list[Section]:
    """All figures at once, or of a card that has many, group by group with the headline's first and open."""
    if len(metrics) < _MANY:
        rows = tuple((key, words(key), figure) for key, figure in metrics.items())
        return [Section("All figures", "all", rows, tuple(plots_of(metrics)))]
    groups = groups_of(metrics, data)
    first = next((key for headline in headlines_of(metrics) for key in headline.keys), "")
    groups.sort(key=lambda group: first not in group.keys)
    return [_section(group, metrics, is_open=number == 0) for number, group in enumerate(groups)]


def _section(group: FigureGroup, metrics: Mapping[str, Any], *, is_open: bool) -> Section:
    own = {key: metrics[key] for key in group.keys}
    rows = tuple((key, group.label(key), figure) for key, figure in own.items())
    leads = tuple(mean for mean in set_means(metrics) if mean.keys[0] in own)
    return Section(group.title, group.slug, rows, tuple(plots_of(own, label=group.label)), is_open, leads)


def plots_of(metrics: Mapping[str, Any], *, label: Callable[[str], str] = words) -> list[Plot]:
    """Areas under the curve with chance as the line, then all other shares; other units stay in the table."""
    shares = {key: figure for key, figure in metrics.items() if _is_share(figure)}
    areas = [key for key in shares if key == "auc" or _finding_figure(key, "auc")]
    errors = [key for key in shares if _ERRORS & set(key.split("_"))]
    apart = {*areas, *errors, *(key for key in shares if "mean_auc" in key or _LINES & set(key.split("_")))}
    others = [key for key in shares if key not in apart]
    parts = (
        ("Area under the ROC curve; dashed: chance", areas, 0.5),
        ("Shares and scores, of 1", others, None),
        ("Errors: smaller is better", errors, 0.0),
    )
    return [
        Plot(title, forest([_figure(label(key), shares[key]) for key in keys], reference=reference))
        for title, keys, reference in parts
        if keys
    ]


def _finding_figure(key: str, kind: str) -> re.Match[str] | None:
    """``auc_CODE`` or ``SET_auc_CODE`` taken apart, for a known finding."""
    found = re.fullmatch(rf"(?:(?P<set>[a-z0-9-]+)_)?{kind}_(?P<code>\w+)", key)
    return found if found and found["code"] in NAMES else None


def _is_share(figure: Mapping[str, Any]) -> bool:
    value = figure.get("value")
    return isinstance(value, int | float) and 0.0 <= float(value) <= 1.0


def _figure(label: str, figure: Mapping[str, Any]) -> Figure:
    low, high = figure.get("interval") or (None, None)
    n = figure.get("n")
    return Figure(label, float(figure["value"]), low, high, f"n = {n}" if n else "")


def _learned_from_computed(content: Mapping[str, Any]) -> bool:
    """Whether figures that name no set are of computed anatomy or disease alone."""
    names = content.get("learned_from") or content.get("data") or ()
    return bool(names) and all(is_computed(name) or name in PARTLY_COMPUTED for name in names)
