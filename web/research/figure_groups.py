"""Figures of one model card by what they are of: a kind, such as calibration, and the films."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from web.research.figure_words import SETS, known_words, words

_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Calibration", frozenset({"ece", "brier", "slope", "intercept"})),
    ("Localisation", frozenset({"hit", "miou", "chance"})),
    (
        "Discrimination",
        frozenset({"auc", "sensitivity", "specificity", "accuracy", "precision", "recall", "f1"}),
    ),
    ("Breaks", frozenset({"break", "healed"})),
    ("Likeness to the truth", frozenset({"psnr", "ssim", "mae", "lpips", "bsr"})),
    ("Outlines", frozenset({"dice", "jaccard", "iou", "hd95"})),
)
"""Kinds by parts of figures' names, the first that fits."""
_OTHERS = "Other figures"
_ALL, _AS_SHOWN = "all sets together", "as readers see it"
"""What figures are of whose names tell no set on a card of several; a calibration's are of those in use."""


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """The figures of one kind on one data set's films.

    Args:
        slug: the end of the group's address on its page.
        films: the films' words, which the title says once for all its figures; empty where no set is named.
            What the title says of films then is no part of the figures' own words.
    """

    title: str
    slug: str
    films: str
    keys: tuple[str, ...]

    def label(self, key: str) -> str:
        """A figure's words without the films that the title names."""
        return words(key).removesuffix(f", {self.films}") if self.films else words(key)


def groups_of(keys: Iterable[str], data: Iterable[str] = ()) -> list[FigureGroup]:
    """Figures' names in groups, both in the order of the card.

    Args:
        keys: the names.
        data: the card's data sets. Where some figures name their set, those that name none are of the one set
            that no figure names, or else of all.
    """
    members: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        films, figure = films_and_figure(key)
        members.setdefault((kind_of(figure), films), []).append(key)
    named = {films.replace("_", "-") for _, films in members if films}
    unnamed = [name for name in data if name not in named] if named else []
    return [_group(kind, films, tuple(own), named, unnamed) for (kind, films), own in members.items()]


def films_and_figure(key: str) -> tuple[str, str]:
    """A figure's name taken apart: the data set's name, empty where it names none, and the rest."""
    for films in SETS:
        if key.startswith(f"{films}_"):
            return films, key.removeprefix(f"{films}_")
    films, _, figure = key.partition("_")
    of_another_package = known_words(key) is None and known_words(figure) is not None
    return (films, figure) if of_another_package else ("", key)


def kind_of(figure: str) -> str:
    """What a figure tells of, by the parts of its name."""
    parts = set(figure.split("_"))
    return next((kind for kind, marks in _KINDS if marks & parts), _OTHERS)


def _group(kind: str, films: str, keys: tuple[str, ...], named: set[str], unnamed: list[str]) -> FigureGroup:
    said = of = SETS.get(films, films)
    if named and not films:
        mixed = _AS_SHOWN if kind == "Calibration" else _ALL
        of = SETS.get(unnamed[0], unnamed[0]) if len(unnamed) == 1 else mixed
    title = f"{kind}, {of}" if of else kind
    return FigureGroup(title, "-".join(f"{kind} {films}".lower().replace("_", " ").split()), said, keys)
