"""Sentences of model cards as pages say them: data sets, findings and figures by their words."""

from __future__ import annotations

import re

from suite.findings import NAMES
from web.research.figure_words import SETS, known_words, words_of_group

_COMMAND = r"radsuite(?: [a-z-]+){0,2}(?: --[\w-]+(?: (?!--)[^\s;,()]+)?)*"
_NAME = r"[a-z0-9]+(?:[_-][a-z0-9]+(?:\.\d+)?)*(?:_\*)?"
_PARTS = re.compile(rf"(?P<command>{_COMMAND})|(?<![\w./=-])(?P<name>{_NAME})(?![\w/=])")
_ORDINARY = "site"
"""The data set whose name is a word of sentences too."""


def set_words(name: str) -> str:
    """A data set's name as a heading; one that another package brings, as it is."""
    said = SETS.get(name, name)
    return said[:1].upper() + said[1:]


def sentence_words(text: str) -> str:
    """``text`` with the names that files have for data sets, findings and figures put into words.

    Commands stay as they are typed.
    """
    return _PARTS.sub(lambda found: found["command"] or _said(found["name"]), text)


def _said(name: str) -> str:
    if name == _ORDINARY:
        return name
    if name in SETS:
        return SETS[name]
    if name in NAMES:
        return NAMES[name].lower()
    if "_" not in name:  # a word of the sentence, even where a figure has its name
        return name
    known = known_words(name) or words_of_group(name.removesuffix("_*"))
    return name if known is None else f"“{known}”"
