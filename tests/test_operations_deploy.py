"""The files for deployment: what they name exists, and the tools that can check them find nothing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from suite.cli import main
from suite.jobs.broker_address import connection_settings
from suite.settings import Settings, load_settings

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())


def test_every_setting_that_is_named_exists() -> None:
    named = {
        name
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"RADSUITE_([A-Z_]+)", path.read_text())
    }

    assert len(named) >= 7
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_listener_of_the_example_is_a_setting_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted as systemd and a shell read it."""
    lines = (DEPLOY / "radsuite.env.example").read_text().splitlines()
    for line in lines:
        if line.startswith(("#RADSUITE_LISTEN_", "#RADSUITE_AE_TITLE")):
            (pair,) = shlex.split(line.removeprefix("#"))
            monkeypatch.setenv(*pair.split("=", 1))
    settings = load_settings()
    assert (settings.listen_port, settings.listen_host, settings.ae_title) == (11112, "0.0.0.0", "RADSUITE")
    assert settings.listen_allow == ("PACS@10.0.0.7", "CR1@10.0.0.0/24")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_command_that_is_started_exists(path: Path) -> None:
    for command in re.findall(r"/radsuite (\w+)", path.read_text()):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_in_the_units(tmp_path: Path) -> None:
    """On copies that start programs which exist here; those of an installation do not."""
    program = tmp_path / "radsuite"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS:
        (tmp_path / path.name).write_text(
            path.read_text().replace("/opt/radsuite/bin/radsuite", str(program))
        )
    units = [str(tmp_path / path.name.replace("@", "@1")) for path in UNITS if "@" not in path.name]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert [line for line in done.stderr.splitlines() if "radsuite" in line] == []


def test_the_compose_file_is_complete() -> None:
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())

    assert set(content["services"]) == {"database", "broker", "pages", "worker"}
    for service in content["services"].values():
        assert service["image"]
        for volume in service["volumes"]:
            assert volume.split(":")[0] in content["volumes"]
    for name in ("pages", "worker"):
        command = content["services"][name]["command"]
        assert CliRunner().invoke(main, [*command[1:], "--help"]).exit_code == 0
        assert set(content["services"][name]["depends_on"]) == {"database", "broker"}


def test_the_compose_files_settings_are_accepted_and_every_variable_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    given = {
        "POSTGRES_PASSWORD": "postgres-word",
        "REDIS_PASSWORD": "redis-word",
        "RADSUITE_SECRET": "vD3-whale-Quartz-91",
        "RADSUITE_PUBLIC_URL": "https://radsuite.example.org",
    }
    names = set(re.findall(r"\$\{([A-Z_]+)", text))
    head = text.partition("x-radsuite")[0]
    assert names - {"IMAGE"} == set(given)
    assert all(name in head for name in names)
    filled = re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda found: given.get(found[1], "radsuite:latest"), text)
    content = yaml.safe_load(filled)
    for name in ("pages", "worker"):
        for variable, value in content["services"][name]["environment"].items():
            monkeypatch.setenv(variable, value)
        settings = load_settings()
        assert settings.database_url == "postgresql+psycopg://radsuite:postgres-word@database/radsuite"
        assert (
            connection_settings(str(settings.broker_url))["broker_url"] == "redis://:redis-word@broker:6379/0"
        )
    for waiting in ("pages", "worker"):
        for service, condition in content["services"][waiting]["depends_on"].items():
            assert condition == {"condition": "service_healthy"}
            assert content["services"][service]["healthcheck"]["test"]
