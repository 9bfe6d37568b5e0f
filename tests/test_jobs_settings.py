"""Settings: where values come from, and what a wrong one says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from suite.addresses import is_local_host
from suite.errors import RecipeError, UnreadableFileError
from suite.settings import Settings, load_settings, to_environment


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RADSUITE_{name.upper()}", raising=False)
    monkeypatch.delenv("RADSUITE_CONFIG", raising=False)


def test_arguments_win_over_environment_over_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "radsuite.toml"
    config.write_text('port = 7001\nmax_attempts = 7\ndevice = "cpu"\n')
    monkeypatch.setenv("RADSUITE_CONFIG", str(config))
    monkeypatch.setenv("RADSUITE_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("RADSUITE_PORT", "7002")
    settings = load_settings(port=7003, host=None)
    assert (settings.port, settings.max_attempts, settings.device) == (7003, 5, "cpu")
    assert settings.host == "127.0.0.1"


def test_a_wrong_value_names_key_value_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADSUITE_PORT", "eighty")
    with pytest.raises(
        RecipeError, match=r"port has value 'eighty', not a valid whole number.*RADSUITE_PORT"
    ):
        load_settings()


def test_an_unknown_key_of_the_file_lists_the_known_ones(tmp_path: Path) -> None:
    config = tmp_path / "radsuite.toml"
    config.write_text("prot = 7001\n")
    with pytest.raises(RecipeError, match=r"'prot' is not known.*port"):
        load_settings(config)


@pytest.mark.parametrize("content", ["port = ", "\x00\x01"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: str) -> None:
    config = tmp_path / "radsuite.toml"
    config.write_text(content)
    with pytest.raises(UnreadableFileError, match=r"radsuite\.toml: not a TOML file"):
        load_settings(config)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        load_settings(tmp_path / "absent.toml")


def test_others_are_only_let_in_with_a_secret() -> None:
    with pytest.raises(RecipeError, match=r"0\.0\.0\.0 can be reached by others.*RADSUITE_SECRET"):
        load_settings(host="0.0.0.0")
    reachable = {"host": "0.0.0.0", "secret": "correct horse battery"}
    with pytest.raises(RecipeError, match=r"plain HTTP.*RADSUITE_PUBLIC_URL"):
        load_settings(**reachable)
    assert load_settings(**reachable, public_url="https://films.example.org").secret is not None


def test_a_short_secret_is_refused_and_not_repeated_in_the_message() -> None:
    with pytest.raises(RecipeError, match="at least 16 characters") as caught:
        load_settings(secret="hunter2")
    assert "hunter2" not in str(caught.value)


def test_settings_survive_the_way_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        data=tmp_path,
        secret="correct horse battery",
        stages=("gate", "lungs"),
        lease_seconds=7.5,
        heartbeat_seconds=2,
    )
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_which_hosts_are_local(host: str, local: bool) -> None:
    assert is_local_host(host) is local


def test_a_heartbeat_slower_than_the_lease_is_refused() -> None:
    with pytest.raises(RecipeError, match="would lose its job"):
        load_settings(lease_seconds=5, heartbeat_seconds=4)


def test_the_job_room_imports_neither_torch_nor_web() -> None:
    code = (
        "import sys, suite.jobs.supervisor, suite.jobs.worker, suite.jobs.submission, suite.settings\n"
        "bad = {'torch', 'web', 'gan', 'classifiers', 'segmentation'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(bad)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
