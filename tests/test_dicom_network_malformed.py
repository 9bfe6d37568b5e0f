"""Damaged films over both wires: an answer for each, nothing refused is stored, nobody dies."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

from suite.dicom.network.classes import accepted_syntaxes
from suite.dicom.pixels import plugin_for
from suite.errors import SuiteError
from suite.jobs.contracts import StoredFilms
from suite.jobs.worker import load_study
from tests.dicom_network_house import Wires, as_bytes, film, open_wires
from tests.mutated_films import mutants
from tests.web_house import open_house
from tests.wires_under_damage import NO_ANSWER, ask_for_all, left_over, push_all, store_all, stored

JPEG_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
COUNT = 150
"""``benchmarks/malformed.py`` takes thousands."""


def test_each_of_many_damaged_films_is_answered_by_the_listener(tmp_path: Path) -> None:
    count: Counter[str] = Counter()
    with open_wires(tmp_path) as wires:
        taken = store_all(list(mutants(COUNT // 2, seed=11)), wires.port, count)
        assert count[NO_ANSWER] == 0
        assert count.total() == COUNT // 2
        assert 0 < len(taken) < COUNT // 2
        assert stored(tmp_path) == taken
        assert left_over(tmp_path) == []
        assert {row.sop_instance_uid for row in wires.instances()} == taken
        _hand_in_and_read(wires)
        sound = film()
        assert str(wires.exchange.reception.take(as_bytes(sound), "A@x").fate) == "new"


def _hand_in_and_read(wires: Wires) -> None:
    """What was taken becomes studies, and reading them ends in a study or in a sentence."""
    wires.exchange.closer.run_once()
    assert wires.exchange.archive.waiting() == {}
    store = wires.exchange.objects.store
    for row in wires.studies():
        films = [store.source(row.id, name) for name in (row.frontal_file, row.lateral_file)]
        stored_films = StoredFilms(row.id, *films, row.frontal_name, row.lateral_name, paired_by_hand=False)
        with suppress(SuiteError):
            load_study(stored_films)


def test_each_of_many_damaged_films_is_answered_over_http(tmp_path: Path) -> None:
    pushed: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    with open_house(tmp_path) as house, house.open_for_browsers() as base:
        address = f"{base}/api/dicomweb"
        taken = push_all(list(mutants(COUNT // 2, seed=12)), address, {}, pushed)
        assert set(pushed) == {"200", "409"}
        assert stored(tmp_path) == taken
        assert left_over(tmp_path) == []
        ask_for_all(address, {}, asked)
    assert {key for key in asked if key.endswith((NO_ANSWER, "500", "503"))} == set()
    assert asked["instance 200"] == asked["/metadata 200"] == len(taken)


def test_a_decoder_that_can_end_the_process_decodes_only_what_no_other_does() -> None:
    assert {syntax for syntax in accepted_syntaxes() if plugin_for(syntax) == "gdcm"} == JPEG_LOSSLESS
