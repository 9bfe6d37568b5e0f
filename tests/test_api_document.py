"""The interface's description is valid, complete, and true: schemathesis compares it with the answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from suite.accounts.attempts import AttemptLimit
from suite.accounts.principal import Role, Scope
from suite.jobs.submission import pseudonym
from tests.api_house import SECRET, open_service, program, read_study
from tests.jobs_fakes import film_png
from tests.web_house import House
from web.api import api
from web.api.document import write_document
from web.api.operations import UNSAFE

DOCUMENT = Path(__file__).parents[1] / "docs" / "api.md"
EXAMPLES = 4
"""Random requests for each operation; RADSUITE_API_EXAMPLES asks for more."""


@cache
def document() -> dict[str, Any]:
    return write_document(api)


def test_it_is_openapi_3_1() -> None:
    assert document()["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_every_address_of_the_interface_is_in_it(house: House) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in house.app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method.upper()) for path, item in document()["paths"].items() for method in item}
    assert served == described
    assert len(described) > 40


def test_every_operation_says_what_can_go_wrong() -> None:
    for operation in (entry for path in document()["paths"].values() for entry in path.values()):
        problems = {status for status in operation["responses"] if status >= "400"}
        assert {"500", "503"} <= problems
        assert {"401", "403", "429"} <= problems or operation["security"] == []
        for status in problems:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
        assert operation["summary"]


def test_every_change_has_a_name_in_the_trail() -> None:
    with pytest.raises(TypeError, match="has no name in the audit trail"):
        api.operation("POST", "/x", tag="studies", scope=None, answers={})(lambda: None)  # type: ignore[arg-type, return-value]
    assert all(operation.audit is not None for operation in api.operations if operation.method in UNSAFE)


def test_the_reports_schema_is_part_of_it() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["Report"]["properties"]["findings"]["items"] == {
        "$ref": "#/components/schemas/Report_finding"
    }
    assert "if" in schemas["Report_finding"]["allOf"][0]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data", real_intake=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description of a service that holds a study, read by schemathesis."""
    with open_service(tmp_path_factory.mktemp("api") / "data", real_intake=True) as house:
        read_study(house, program(house))
        house.app.extensions["radsuite.attempts"] = AttemptLimit(failures=10**9)  # wrong tokens are tried
        yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", house.app, config=_config())


def _config() -> SchemathesisConfig:
    """A request may be well-formed and yet name what cannot be: a film that is none, a stale version."""
    meaningless = ["2xx", "3xx", 401, 403, 404, 409, 412, 413, 422, 429]
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "checks": {"positive_data_acceptance": {"expected-statuses": meaningless}},
            "generation": {"database": "none"},
        }
    )


@schemathesis.serializer("application/offset+octet-stream")
def _piece(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def operations() -> list[tuple[str, str]]:
    return [(path, method.upper()) for path, item in document()["paths"].items() for method in item]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), operations())
def test_answers_are_as_described(described: Any, path: str, method: str, mode: GenerationMode) -> None:
    """Requests as described and such that are not: each answer is one of those the document promises."""
    operation = described[path][method]
    sound = mode is GenerationMode.POSITIVE and method != "DELETE"

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=int(os.environ.get("RADSUITE_API_EXAMPLES", EXAMPLES)),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        if sound and "study_id" in (case.path_parameters or {}):
            case.path_parameters["study_id"] = "chest"
        case.call_and_validate(headers={"Authorization": f"Bearer {SECRET}"})

    try:
        ask()
    except Unsatisfiable:  # nothing about this operation can be wrong
        assert mode is GenerationMode.NEGATIVE


def test_the_documents_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ``sh`` block that says so is run by the shell against a service; ``STUDY`` is handed on."""
    if shutil.which("curl") is None:
        assert os.environ.get("CI") != "true"
        pytest.skip("curl is not installed: apt install curl")
    blocks = re.findall(r"```sh\n(# example: .*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) >= 10
    (tmp_path / "chest.png").write_bytes(film_png(1))
    (tmp_path / "side.png").write_bytes(film_png(2))
    with open_service(tmp_path / "data") as house:
        monkeypatch.setattr(house.services.submission, "_name", pseudonym)
        house.services.users.create("ada", Role.ADMIN)
        _, key = house.services.tokens.create("ada", "docs", [Scope.ADMIN])
        with house.open_for_browsers() as address:
            environment = {**os.environ, "RADSUITE_URL": f"{address}/api/v1", "RADSUITE_TOKEN": key}
            for block in blocks:
                command = block.replace("curl -s", "curl --fail-with-body -sS")
                command += '\nprintf %s "${STUDY:-}" > study'
                ran = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert ran.returncode == 0, block + ran.stdout + ran.stderr
                environment["STUDY"] = (tmp_path / "study").read_text()
                house.wait()
    assert (tmp_path / "bone.png").read_bytes().startswith(b"\x89PNG")
