"""Cards of networks: their figures in groups, and which of them stand in front."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from suite.stages.weights import ModelCard, shipped_cards
from tests.pages_house import Person, person
from tests.web_house import open_house
from web.research.cards import sections_of
from web.research.figure_groups import groups_of
from web.research.headlines import headlines_of


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with open_house(tmp_path_factory.mktemp("cards")) as house:
        yield person(house)


def card_of(name: str) -> ModelCard:
    return next(card for card in shipped_cards() if card.name == name)


class TestGroups:
    def test_figures_are_grouped_by_kind_and_films(self) -> None:
        keys = (
            "nih_auc_edema",
            "ece",
            "nih_ece_edema",
            "nih_auc_fracture",
            "covid_lungs_right",
            "ours_auc_edema",
        )
        assert [(group.title, group.slug, group.keys) for group in groups_of(keys)] == [
            ("Discrimination, ChestX-ray14", "discrimination-nih", ("nih_auc_edema", "nih_auc_fracture")),
            ("Calibration, as readers see it", "calibration", ("ece",)),
            ("Calibration, ChestX-ray14", "calibration-nih", ("nih_ece_edema",)),
            ("Other figures, films from papers", "other-figures-covid-lungs", ("covid_lungs_right",)),
            ("Discrimination, ours", "discrimination-ours", ("ours_auc_edema",)),
        ]

    @pytest.mark.parametrize(
        ("data", "title"),
        [
            (("jsrt", "phantom"), "Likeness to the truth, JSRT"),
            (("phantom",), "Likeness to the truth, all sets together"),
            (("jsrt", "openi", "phantom"), "Likeness to the truth, all sets together"),
        ],
    )
    def test_figures_that_name_no_set_say_what_they_are_of_beside_some_that_do(
        self, data: tuple[str, ...], title: str
    ) -> None:
        plain, computed = groups_of(("psnr", "phantom_psnr"), data)
        assert (plain.title, plain.slug) == (title, "likeness-to-the-truth")
        assert computed.title == "Likeness to the truth, computed films"
        assert plain.label("psnr") == "PSNR in dB, lungs"
        assert [group.title for group in groups_of(("psnr",), data)] == ["Likeness to the truth"]

    @pytest.mark.parametrize("name", ["bone", "diagnosis"])
    def test_every_group_of_a_card_with_several_sets_names_its_films(self, name: str) -> None:
        content = card_of(name).content
        for section in sections_of(content["metrics"], content["data"]):
            assert ", " in section.title

    def test_what_the_title_says_its_figures_do_not_say_again(self) -> None:
        (group,) = groups_of(("phantom_ece_before_edema",))
        assert group.label("phantom_ece_before_edema") == "ECE before calibration, Edema"

    @pytest.mark.parametrize("card", shipped_cards(), ids=lambda card: card.name)
    def test_every_figure_of_a_card_is_in_one_group_and_told_apart_in_it(self, card: ModelCard) -> None:
        sections = sections_of(card.content["metrics"])
        shown = [key for section in sections for key, _, _ in section.rows]
        assert sorted(shown) == sorted(card.content["metrics"])
        assert len({section.slug for section in sections}) == len(sections)
        for section in sections:
            said = [name for _, name, _ in section.rows]
            assert len(set(said)) == len(said)

    def test_a_card_of_few_figures_folds_none(self) -> None:
        (section,) = sections_of({"auc": {"value": 0.8}, "ece": {"value": 0.1}})
        assert (section.title, section.is_open) == ("All figures", None)

    def test_a_card_of_many_figures_is_open_at_its_headline_alone_and_says_how_many_lie_below(
        self, reader: Person
    ) -> None:
        page = reader.get("/research/models/diagnosis").text
        found = re.findall(
            r'<details class="box figure-group" id="figures-([a-z-]+)"( open)?>\s*'
            r'<summary><h2>[^<]+</h2> <span class="muted">(\d+) figures?</span>',
            page,
        )
        assert [name for name, is_open, _ in found if is_open] == [found[0][0]]
        assert found[0][0] == "discrimination-nih"
        assert sum(int(count) for _, _, count in found) == len(card_of("diagnosis").content["metrics"])


class TestHeadlines:
    def test_means_are_of_one_set_each_and_patients_come_first(self) -> None:
        values = {"mean_auc": 0.9, "phantom_auc_edema": 1.0, "nih_auc_edema": 0.6, "nih_auc_fracture": 0.7}
        metrics = {key: {"value": value} for key, value in values.items()} | {
            "nih_auc_pneumonia": {"value": None}
        }
        assert [(one.words, one.value) for one in headlines_of(metrics)] == [
            ("AUC, mean of 2 findings, ChestX-ray14", pytest.approx(0.65)),
            ("AUC, mean of 1 finding, computed films", 1.0),
        ]

    def test_the_list_tells_diagnosis_by_patients_films_and_not_by_a_mixture(self, reader: Person) -> None:
        """By hand: the ten measured areas of ChestX-ray14 in the card add up to 7.32443."""
        told = reader.get("/research").text.split('id="card-diagnosis"')[1].split("</li>")[0]
        assert re.search(
            r"<dt>AUC, mean of 10 findings, ChestX-ray14</dt><dd class=\"number\">0\.732</dd>", told
        )
        assert told.index("ChestX-ray14") < told.index("computed films")
        assert "all sets" not in told
        page = reader.get("/research/models/diagnosis").text
        assert re.search(r"AUC, mean of 10 findings, ChestX-ray14: <strong[^>]*>0\.732<", page)
