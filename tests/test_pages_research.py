"""The research pages: agreement, calibration, ablations, runs and the phantom, with numbers from outside."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from suite.accounts.principal import LOCAL, Role
from suite.datasets.registry import KINDS, DatasetKind
from suite.errors import InputError, UnreadableFileError
from suite.findings import CODES
from suite.jobs.models import Job, Review
from suite.phantom.pathology.severity import SCALES, of_severity
from suite.records.ablations import read_ablation, result_folders
from suite.records.agreement import Judgement, Share, by_finding, by_pair, by_week, cohens_kappa, judgements
from suite.records.reliability import (
    calibration_curve,
    expected_calibration_error,
    judged_probabilities,
    reliability,
)
from suite.records.reviews import Verdict
from suite.stages.weights import ModelCard, shipped_cards
from tests.jobs_fakes import film_png
from tests.pages_house import Person, person, signed_in
from tests.web_house import House, open_house
from web.research import playground
from web.research.card_words import sentence_words
from web.research.cards import plots_of
from web.research.figure_words import known_words, words
from web.research.plots import MOST_LETTERS, Axis, Figure, curve_plot, forest, reliability_plot, timeline


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("research")) as opened:
        for number in range(2):
            opened.take(f"chest-{number}.png", film_png(number), "side.png", film_png(10 + number))
        opened.work()
        yield opened


@pytest.fixture
def reader(house: House) -> Person:
    return person(house)


def judged(finding: str, reader: str, verdict: Verdict, job: str = "j", at: float = 0.0) -> Judgement:
    return Judgement("s", job, finding, reader, verdict, at)


class TestAgreement:
    def test_wilsons_interval_is_the_published_one(self) -> None:
        """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263 and 0 of 20, method 3."""
        assert Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
        assert Share(0, 20).interval == pytest.approx((0.0, 0.1611), abs=5e-5)
        assert Share(0, 0).interval == (0.0, 1.0)

    def test_cohens_kappa_is_the_textbooks(self) -> None:
        """20 both yes, 15 both no, 5 and 10 apart: observed 0.70, by chance 0.50, so 0.40."""
        both = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
        assert cohens_kappa(both) == pytest.approx(0.4)
        assert math.isnan(cohens_kappa([(True, True)] * 3))
        assert math.isnan(cohens_kappa([]))

    def test_findings_weeks_and_pairs_are_counted(self) -> None:
        monday = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
        found = [
            judged("edema", "ada", Verdict.ACCEPTED, "a", monday - 1),
            judged("edema", "ben", Verdict.REJECTED, "a", monday),
            judged("fracture", "ada", Verdict.ADDED, "a", monday),
            judged("edema", "ada", Verdict.REJECTED, "b", monday),
            judged("edema", "ben", Verdict.REJECTED, "b", monday),
        ]
        assert by_week(found) == [("2026-11-16", Share(1, 1)), ("2026-11-23", Share(0, 4))]
        edema, fracture = by_finding(found)
        assert (edema.accepted, edema.rejected, edema.added) == (1, 3, 0)
        assert (fracture.finding, fracture.added, fracture.confirmed.n) == ("fracture", 1, 0)
        (pair,) = by_pair(found)
        assert (pair.first, pair.second, pair.same) == ("ada", "ben", Share(1, 2))

    def test_only_what_stands_is_counted_and_each_readers_latest(self, house: House) -> None:
        ada, ben = (replace(LOCAL, name=name) for name in ("ada", "ben"))
        say = house.services.reviews.add
        say("chest-0", Verdict.ACCEPTED, ada, finding="edema")
        say("chest-0", Verdict.REJECTED, ada, finding="edema")
        say("chest-0", Verdict.ACCEPTED, ben, finding="edema")
        _, gone = say("chest-0", Verdict.ACCEPTED, ben, finding="pneumonia")
        house.services.reviews.undo("chest-0", gone.id, ben)
        say("chest-0", Verdict.COMMENT, ben, text="odd")
        found = [(one.reader, one.finding, one.verdict) for one in judgements(house.services.database)]
        assert found == [("ada", "edema", Verdict.REJECTED), ("ben", "edema", Verdict.ACCEPTED)]
        with house.services.database.write() as session:
            session.query(Review).delete()

    def test_the_page_says_what_it_counted(self, house: House, reader: Person) -> None:
        assert "Nobody has judged" in reader.get("/research/agreement").text
        say = house.services.reviews.add
        say("chest-0", Verdict.ACCEPTED, LOCAL, finding="pleural_effusion")
        say("chest-0", Verdict.ADDED, LOCAL, finding="fracture")
        page = reader.get("/research/agreement").text
        assert "2 standing verdicts by 1 reader." in page
        calibrated = reader.get("/research/calibration").text
        assert "Of 1 suggestions that were judged" in calibrated
        assert '<td class="number right">0.71</td><td class="number right">1.00</td>' in calibrated


def test_a_cards_errors_are_drawn_apart_and_its_calibration_lines_not_at_all() -> None:
    figures = ("auc_edema", "phantom_ece_edema", "nih_brier_before", "sensitivity", "nih_slope_edema", "ece")
    drawn = plots_of({name: {"value": 0.3, "interval": [0.2, 0.4], "n": 9} for name in figures})
    shares, errors = drawn[1:]
    assert "Sensitivity" in str(shares.drawing)
    assert "ece" not in str(shares.drawing).lower()
    assert "slope" not in str(shares.drawing).lower()
    assert errors.title == "Errors: smaller is better"
    assert all(
        words in str(errors.drawing)
        for words in (
            "ECE, Edema, computed films",
            "Brier before calibration, ChestX-ray14",
            "'ECE'",
        )
    )


class TestReliability:
    def test_bins_hold_what_falls_into_them(self) -> None:
        pairs = [(0.0, False), (0.05, False), (0.31, True), (0.39, False), (1.0, True)]
        bins = reliability(pairs)
        assert [(own.predicted, own.observed) for own in bins] == [
            (pytest.approx(0.025), Share(0, 2)),
            (pytest.approx(0.35), Share(1, 2)),
            (1.0, Share(1, 1)),
        ]
        # |0.025 - 0| x 2/5 + |0.35 - 0.5| x 2/5 + 0
        assert expected_calibration_error(bins) == pytest.approx(0.07)
        assert math.isnan(expected_calibration_error([]))

    def test_findings_that_were_added_have_no_probability_to_judge(self) -> None:
        found = [judged("edema", "ada", Verdict.REJECTED), judged("fracture", "ada", Verdict.ADDED)]
        assert judged_probabilities(found, {"j": {"edema": 0.3, "fracture": 0.1}}) == [(0.3, False)]

    def test_a_curve_is_the_networks_own_calibration(self) -> None:
        from classifiers.calibration import Calibration

        own = Calibration(1.6, -0.3, (0.07, -0.04, 0.06), 0.5, "rule", "films", 10, 10)
        for point in calibration_curve(own.as_json()):
            assert point.probability == pytest.approx(own.probability(point.score))
            assert (point.low, point.high) == pytest.approx(own.interval(point.score))


class TestPlots:
    def test_ticks_are_round_and_written_in_full(self) -> None:
        whole = [words for _, words in Axis(0.0, 1.0, 0.0, 100.0).ticks]
        assert whole == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        assert Axis(-5.0, 5.0, 0.0, 100.0).ticks[0] == (10.0, "-4")
        assert [words for _, words in Axis(0.0, 0.125, 0.0, 100.0).ticks][1] == "0.025"

    def test_a_forests_points_lie_where_their_numbers_say(self) -> None:
        drawn = forest([Figure("a", 0.5, 0.4, 0.6), Figure("b", 0.7)], reference=0.5)
        first, second = drawn.rows
        assert first.x == drawn.reference
        assert first.low is not None
        assert first.high is not None
        assert first.x - first.low == pytest.approx(first.high - first.x, abs=0.02)
        assert drawn.start <= first.low < first.high < second.x <= drawn.end
        assert second.low is None
        assert first.number == "0.500 (0.400 to 0.600)"

    def test_a_perfect_bin_lies_on_the_diagonal(self) -> None:
        (own,) = reliability([(0.5, True), (0.5, False)])
        (mark,) = reliability_plot([own]).marks
        assert (mark.x, mark.y) == (184.0, 156.0)  # the middle of 44 to 324, and of 16 to 296
        assert mark.high < mark.y < mark.low  # up is less

    def test_curves_rise_and_weeks_go_from_left_to_right(self) -> None:
        calibration = {"slope": 1.0, "intercept": 0.0, "covariance": [0.1, 0.0, 0.1]}
        drawn = curve_plot(calibration_curve(calibration), 0.5)
        heights = [float(point.split(",")[1]) for point in drawn.line.split()]
        assert heights == sorted(heights, reverse=True)
        assert drawn.horizontal == 156.0
        places = [
            mark.x for mark in timeline([("2026-11-16", Share(1, 2)), ("2026-11-23", Share(2, 2))]).marks
        ]
        assert places == sorted(places)


class TestCards:
    @pytest.mark.parametrize("card", shipped_cards(), ids=lambda card: card.name)
    def test_every_figure_of_a_shipped_card_has_words_of_its_own(self, card: ModelCard) -> None:
        """Words, not keys; and none is cut off in a plot, where two might then look alike."""
        keys = list(card.content["metrics"])
        assert [key for key in keys if known_words(key) is None] == []
        said = [words(key) for key in keys]
        assert len(set(said)) == len(said)
        assert [line for line in said if "_" in line or len(line) > MOST_LETTERS] == []
        assert not any(re.search(r"\b(nih|phantom|covid|jsrt)\b", line) for line in said)
        for plot in plots_of(card.content["metrics"]):
            assert all(len(row.label) <= plot.drawing.letters for row in plot.drawing.rows)

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    def test_films_of_every_data_set_are_named(self, kind: DatasetKind) -> None:
        assert known_words(f"{kind.name}_auc_edema") is not None
        assert known_words(f"refused_accept_{kind.name}") is not None

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("refused_accept_nih", "Refused wrongly, ChestX-ray14"),
            ("refused_turned_90", "Refused rightly, turned by 90°"),
            ("covid_lungs_right", "Dice, right lung, films from papers"),
            ("phantom_whole_atelectasis", "Whole lung outlined, Atelectasis, computed films"),
            ("phantom_identity_whole_psnr", "PSNR in dB, whole film, the film itself, computed films"),
            ("one_case_tta_dice_positives", "Dice, films with gas, cascade, best threshold, mirrored too"),
            ("ours_auc_edema", "AUC, Edema, ours"),
            ("some_new_figure", "Some new figure"),
        ],
    )
    def test_a_figures_name_is_said_in_words(self, key: str, said: str) -> None:
        assert words(key) == said

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            (
                "studies of nih, phantom; nih: open",
                "studies of ChestX-ray14, computed films; ChestX-ray14: open",
            ),
            ("computed only: lung_lesion, support_devices.", "computed only: lung lesion, support devices."),
            ("nih_auc, where there is one", "“AUC, ChestX-ray14”, where there is one"),
            (
                "found_*: a share, all_empty none",
                "“Visible lung outlined”: a share, “Dice of no outline at all” none",
            ),
            ("(radsuite phantom), a site's films, ours_x", "(radsuite phantom), a site's films, ours_x"),
            (
                "radsuite phantom --no-lateral --prevalence lung_lesion=0.2 --healthy 0.2. For edema",
                "radsuite phantom --no-lateral --prevalence lung_lesion=0.2 --healthy 0.2. For edema",
            ),
        ],
    )
    def test_a_cards_sentences_say_names_in_words_and_leave_commands(self, written: str, said: str) -> None:
        assert sentence_words(written) == said

    @pytest.mark.parametrize("card", shipped_cards(), ids=lambda card: card.name)
    def test_a_cards_page_speaks_of_sets_and_findings_in_words(self, card: ModelCard, reader: Person) -> None:
        """All but commands, the recipe and the names of files."""
        page = reader.get(f"/research/models/{card.name}").text
        body = page[page.index("<main") : page.index("</main>")]
        told = re.sub(
            r"<code.*?</code>|<summary>Recipe.*?</details>|radsuite (?:phantom|train)[^<]*",
            "",
            body,
            flags=re.S,
        )
        told = re.sub(r"<[^>]*>", " ", told)
        assert (
            re.findall(r"\b(?:nih|jsrt|phantom|covid-lungs|inserted-pneumothorax|[a-z]+_[a-z_]+)\b", told)
            == []
        )

    def test_headlines_say_what_holds_for_patients_first(self, reader: Person) -> None:
        """An AUC of 0.98 on computed films is no headline above one of 0.60 on patients' films."""
        listed = reader.get("/research").text
        of = {
            card.name: listed.split(f'id="card-{card.name}"')[1].split("</li>")[0] for card in shipped_cards()
        }
        gate = of["pneumothorax-gate"]
        assert gate.index("AUC, ChestX-ray14") < gate.index("Sensitivity")
        assert {name for name, text in of.items() if "are of what was computed" in text} == {
            "pneumothorax-gate",
            "pneumothorax-mask",
            "tissues",
        }
        assert "Loss" not in of["tissues"]
        assert "Dice of no outline at all" not in of["pneumothorax-mask"]

    def test_every_installed_network_has_a_page_with_its_figures(self, reader: Person) -> None:
        listed = reader.get("/research").text
        for card in shipped_cards():
            assert f'id="card-{card.name}"' in listed
            page = reader.get(f"/research/models/{card.name}")
            assert page.status_code == 200
            assert card.sha256 in page.text
            for figure in card.content["metrics"].values():
                if figure["value"] is not None:
                    assert f"{figure['value']:.4f}" in page.text
        assert reader.get("/research/models/nothing").status_code == 404


class TestAblations:
    TABLE = (
        "network,finding,auc,low,high,seed_deviation,seeds,n,positives,hit_rate,hit_rate_by_chance\n"
        "film,fracture,0.62,0.55,0.69,0.01,5,400,200,0.1,0.02\n"
        "film,mean of all,0.71,0.68,0.74,0.01,5,400,,,\n"
        "film,edema,,,,,5,400,0,,\n"
        "film+bone,fracture,0.83,0.79,0.87,0.01,5,400,200,0.4,0.02\n"
        "film+bone,mean of all,0.74,0.71,0.77,0.01,5,400,,,\n"
    )
    DIFFERENCES = (
        "first,second,finding,difference,low,high,p,p_holm\n"
        "film+bone,film,mean of all,0.03,0.01,0.05,0.002,0.004\n"
    )

    def test_a_result_is_read_and_shown(self, house: House, reader: Person) -> None:
        assert "no ablation result yet" in reader.get("/research/ablations").text
        folder = house.settings.data / "ablations" / "phantoms"
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text(self.TABLE)
        (folder / "comparisons.csv").write_text(self.DIFFERENCES)
        own = read_ablation(folder)
        assert own.networks == ["film", "film+bone"]
        assert own.areas[0].positives == 200
        assert math.isnan(own.areas[2].auc)
        assert "phantoms" in reader.get("/research/ablations").text
        page = reader.get("/research/ablations/phantoms").text
        assert "0.830 <span" in page
        assert "(0.790 to 0.870)" in page
        assert "film+bone - film" in page
        assert "0.0040" in page
        assert (
            page.count('<svg class="plot forest narrow"') == 3
        )  # differences, mean, fracture; edema was not measured
        assert reader.get("/research/ablations/..%2f..").status_code == 404

    def test_a_damaged_table_is_told_and_stops_nothing(self, house: House, reader: Person) -> None:
        folder = house.settings.data / "training" / ("a" * 32)
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text("network,auc\nfilm,0.5\n")
        with pytest.raises(UnreadableFileError, match="lacks the columns finding, low, high"):
            read_ablation(folder)
        assert folder in result_folders(house.settings.data)
        page = reader.get("/research/ablations")
        assert page.status_code == 200
        assert "lacks the columns" in page.text


class TestRuns:
    def test_runs_and_data_sets_are_listed(self, house: House, reader: Person) -> None:
        number = "c" * 32
        with house.services.database.write() as session:
            session.add(
                Job(
                    id=number,
                    kind="training",
                    queue="train",
                    state="running",
                    request={"recipe": "lungs", "data": {"jsrt": "/films"}, "settings": ["epochs=2"]},
                    progress={"step": 3, "total": 12, "loss": 0.25},
                    created_at=1.0,
                    enqueued_at=1.0,
                )
            )
        folder = house.settings.data / "training" / number
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"dice": {"value": 0.97, "interval": [0.96, 0.98]}}))
        (folder / "log.txt").write_text("<b>epoch 1</b>\n")
        listed = reader.get("/research/runs").text
        assert "training lungs" in listed
        assert 'max="12" value="3"' in listed
        assert "Montgomery County films" in listed
        page = reader.get(f"/research/runs/{number}").text
        assert "0.9700" in page
        assert "&lt;b&gt;epoch 1&lt;/b&gt;" in page
        assert "epochs=2" in page
        assert reader.get("/research/runs/nothing").status_code == 404

    def test_an_ablations_page_says_how_many_networks_are_finished(
        self, house: House, reader: Person
    ) -> None:
        number = "d" * 32
        with house.services.database.write() as session:
            session.add(
                Job(
                    id=number,
                    kind="ablation",
                    queue="train",
                    state="running",
                    request={"data": {"phantom": "/films"}, "options": {"shared": True}},
                    progress={"step": 12, "total": 35, "losses": {}},
                    created_at=1.0,
                    enqueued_at=1.0,
                )
            )
        page = reader.get(f"/research/runs/{number}").text
        assert '<dt>Networks finished</dt><dd class="number">12 of 35</dd>' in page
        assert "<dt>Losses</dt>" not in page


class TestPlayground:
    @pytest.fixture
    def exposed(self, house: House, monkeypatch: pytest.MonkeyPatch) -> list[playground.Wish]:
        """Pictures that cost nothing, and what was asked of whoever makes them."""
        house.app.extensions.pop("radsuite.darkroom", None)
        asked: list[playground.Wish] = []
        monkeypatch.setattr(playground, "expose", lambda wish: asked.append(wish) or b"picture")
        return asked

    def test_what_is_asked_is_clamped_and_kept(self, reader: Person, exposed: list[playground.Wish]) -> None:
        wild = "?patient=9999&finding=../etc&severity=-5&side=up&kvp=1e9&dose=77&layer=x&kvp=400"
        for query in (wild, wild, "?kvp=73", "?kvp=70"):
            assert reader.get(f"/research/phantom.png{query}").data == b"picture"
        assert len(exposed) == 2  # the same wish is exposed once, and 73 kVp is on the grid's 70
        first = exposed[0]
        assert (first.patient, first.finding, first.severity, first.side) == (24, "", 0, -1)
        assert (first.kvp, first.dose, first.layer) == (120, 2, "frontal")
        assert exposed[1].kvp == 70

    def test_too_many_pictures_must_wait(
        self, reader: Person, exposed: list[playground.Wish], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for patient in range(1, 25):
            for finding in ("edema", "cardiomegaly", "fracture"):
                answer = reader.get(f"/research/phantom.png?patient={patient}&finding={finding}")
        assert len(exposed) == playground.PER_MINUTE
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert reader.get("/research/phantom.png?patient=1&finding=edema").status_code == 200  # kept

    def test_severity_makes_the_finding_larger(self) -> None:
        """Of the phantom itself, one slider's two ends: the true mask grows."""
        from suite.phantom import Patient, render_study

        patient = Patient.draw(np.random.default_rng(3))
        areas = [
            int(
                render_study(
                    patient, 64, [of_severity("pleural_effusion", share, 1)], lateral=False, oversample=1
                )
                .masks["finding_pleural_effusion"]
                .astype(bool)
                .sum()
            )
            for share in (0.2, 0.9)
        ]
        assert areas[1] > 1.5 * areas[0] > 0

    def test_a_picture_has_the_promised_size_and_an_outline_in_colour(self) -> None:
        wish = playground.Wish(3, "pleural_effusion", 14, 1, 120, 0, "frontal", outlined=True)
        picture = cv2.imdecode(np.frombuffer(playground.expose(wish), np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape == (256, 256, 3)
        coloured = (picture.max(axis=2).astype(int) - picture.min(axis=2)) > 60
        rows, columns = np.nonzero(coloured)
        assert len(rows) > 50
        assert columns.mean() > 128  # the patient's left is on the picture's right
        assert rows.mean() > 128

    def test_every_finding_but_devices_has_a_scale(self) -> None:
        assert set(SCALES) == set(CODES) - {"support_devices"}
        for code in SCALES:
            assert of_severity(code, 0.5, -1).codes == (code,)
        with pytest.raises(InputError, match="has no severity"):
            of_severity("support_devices", 0.5, 1)
        with pytest.raises(InputError, match="give 0 to 1"):
            of_severity("edema", 1.5, 1)


def test_a_reader_sees_only_pairs_they_are_part_of(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_house(tmp_path_factory.mktemp("pairs"), sign_in=True) as house:
        house.take("a.png", film_png(1), "b.png", film_png(2))
        house.work()
        for name in ("ada", "ben", "carl"):
            by = replace(LOCAL, name=name)
            house.services.reviews.add("a", Verdict.ACCEPTED, by, finding="pleural_effusion")
        seen = {
            role: signed_in(house, name, role).get("/research/agreement").text
            for name, role in (("ada", Role.READER), ("rita", Role.RESEARCHER))
        }
        for pair, others in (("ada and ben", False), ("ada and carl", False), ("ben and carl", True)):
            assert (pair in seen[Role.READER]) is not others
            assert pair in seen[Role.RESEARCHER]


def test_a_reader_looks_at_research_but_not_at_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_house(tmp_path_factory.mktemp("roles"), sign_in=True) as house:
        ada = signed_in(house, "ada", Role.READER)
        assert "Data and runs" not in ada.get("/research").text
        assert "Data and runs" in signed_in(house, "rita", Role.RESEARCHER).get("/research").text
