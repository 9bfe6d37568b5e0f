"""What lets files of tests run side by side: ports of their own, and the longest file first."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest, ports


def test_workers_draw_from_ranges_that_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    for name in ("gw0", "gw1", "gw2", "gw3"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", name)
        drawn[name] = {ports.free_port() for _ in range(50)}
    spans = sorted((min(found), max(found)) for found in drawn.values())
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    assert spans[0][0] >= 1024
    assert spans[-1][1] < 32_768  # what Linux gives to connections begins here


def test_a_port_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr(ports._dice, "sample", lambda _range, _count: [number, number + 1])
        assert ports.free_port() == number + 1
        monkeypatch.setattr(ports._dice, "sample", lambda _range, _count: [number])
        with pytest.raises(OSError, match="in use; end what uses them"):
            ports.free_port()


def ordered(config: Any) -> list[str]:
    """How five tests of three files are run."""
    names = ("test_api_jobs.py", conftest.LONGEST[1], conftest.LONGEST[0], conftest.LONGEST[1], "test_cli.py")
    items: Any = [SimpleNamespace(path=Path(name), name=f"{name}:{at}") for at, name in enumerate(names)]
    conftest.pytest_collection_modifyitems(config, items)
    return [item.name for item in items]


def test_workers_begin_with_the_longest_files_and_one_process_keeps_its_order() -> None:
    first, second = conftest.LONGEST[:2]
    expected = [f"{first}:2", f"{second}:1", f"{second}:3", "test_api_jobs.py:0", "test_cli.py:4"]
    assert ordered(SimpleNamespace(workerinput={})) == expected
    assert ordered(SimpleNamespace())[0] == "test_api_jobs.py:0"


def test_the_longest_files_are_there() -> None:
    assert [name for name in conftest.LONGEST if not Path(__file__).with_name(name).is_file()] == []
