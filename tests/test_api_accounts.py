"""Who may do what: tokens and their scopes, users, sessions, the secret, guessing, and the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suite.accounts.passwords import hash_password, is_right
from suite.accounts.principal import Means, Role, Scope
from suite.accounts.tokens import Tokens
from suite.accounts.users import FIRST_LOCK_SECONDS, FREE_FAILURES, Users
from suite.cli import main
from suite.errors import AccessError, ConflictError, InputError
from suite.jobs.models import Token
from tests.api_house import PASSWORD, SECRET, Program, json_of, open_service, program
from tests.jobs_fakes import film_png
from tests.web_house import House, open_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data") as opened:
        yield opened


class Clock:
    """Seconds that pass when told to."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class TestTokens:
    """A token opens what its scopes and its user's role allow, while it is valid."""

    def test_nothing_is_open_without_one(self, house: House) -> None:
        nobody = Program(house.app.test_client(), None)
        for path in ("/studies", "/jobs", "/me", "/users", "/models", "/nodes", "/audit"):
            answer = nobody.get(path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="radsuite"'
        assert nobody.get("/openapi.json").status_code == 200

    def test_one_says_who_it_is(self, house: House) -> None:
        me = json_of(program(house, Scope.STUDIES_READ).get("/me"))
        assert (me["name"], me["means"], me["scopes"]) == ("robot", "token", ["studies:read"])

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("POST", "/studies", "studies:write"),
            ("DELETE", "/studies/x", "studies:delete"),
            ("POST", "/studies/x/reviews", "reviews:write"),
            ("POST", "/studies/x/pushes", "nodes:send"),
            ("GET", "/nodes", "nodes:read"),
            ("POST", "/nodes", "admin"),
            ("GET", "/users", "admin"),
            ("GET", "/audit", "admin"),
        ],
    )
    def test_each_thing_needs_its_scope(self, house: House, method: str, path: str, scope: str) -> None:
        answer = program(house, Scope.STUDIES_READ).call(method, path, json={})
        assert answer.status_code == 403
        assert f"needs the scope {scope};" in json_of(answer)["detail"]

    def test_the_role_bounds_the_scopes_also_later(self, house: House) -> None:
        with pytest.raises(InputError, match="admin: a token of a reader can have"):
            program(house, Scope.ADMIN, name="ada", role=Role.READER)
        robot = program(house, Scope.NODES_READ, name="ada")
        assert robot.get("/nodes").status_code == 200
        house.services.users.change("ada", role=Role.RESEARCHER)
        assert robot.get("/nodes").status_code == 403

    def test_it_is_shown_once_and_kept_as_a_hash(self, house: House) -> None:
        admin = program(house)
        made = json_of(admin.post("/tokens", json={"name": "gateway", "scopes": ["studies:read"]}))
        assert made["key"].startswith("rad_")
        assert len(made["key"]) >= 47
        everything = admin.get("/tokens").text + admin.get("/audit").text
        assert made["key"] not in everything
        with house.services.database.read() as session:
            row = session.get_one(Token, made["id"])
            assert made["key"] not in str(vars(row))
        gateway = Program(house.app.test_client(), made["key"])
        assert gateway.get("/studies").status_code == 200
        used = [token["last_used_at"] for token in json_of(admin.get("/tokens"))["items"]]
        assert all(used)

    def test_it_ends_when_revoked_expired_or_its_user_is_disabled(self, house: House) -> None:
        admin = program(house)
        keys = []
        for name in ("one", "two"):
            house.services.users.create(name, Role.READER)
            body = {"name": "t", "user": name, "scopes": ["studies:read"]}
            made = json_of(admin.post("/tokens", json=body))
            keys.append((made["id"], Program(house.app.test_client(), made["key"])))
        assert admin.delete(f"/tokens/{keys[0][0]}").status_code == 200
        answer = keys[0][1].get("/studies")
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        admin.patch("/users/two", json={"disabled": True})
        assert keys[1][1].get("/studies").status_code == 401
        clock = Clock()
        tokens = Tokens(house.services.database, clock)
        _, key = tokens.create("one", "short", [Scope.STUDIES_READ], lifetime_seconds=60)
        clock.now += 59
        assert tokens.recognise(key).name == "one"
        clock.now += 1
        with pytest.raises(AccessError, match="expired"):
            tokens.recognise(key)

    def test_nobody_gives_more_than_they_have(self, house: House) -> None:
        reader = program(house, Scope.STUDIES_READ)
        answer = reader.post("/tokens", json={"name": "more", "scopes": ["studies:read"]})
        assert answer.status_code == 403
        assert reader.delete("/tokens/999").status_code == 404

    def test_one_sees_ones_own_tokens_only(self, house: House) -> None:
        program(house, name="other")
        mine = program(house, Scope.STUDIES_READ, name="me", role=Role.READER)
        assert {token["user"] for token in json_of(mine.get("/tokens"))["items"]} == {"me"}
        assert mine.delete("/tokens/1").status_code == 404


class TestSecretAndSessions:
    """The one secret, the browser's session, and a computer where nobody needs to sign in."""

    def test_the_secret_opens_everything(self, house: House) -> None:
        owner = Program(house.app.test_client(), SECRET)
        assert json_of(owner.get("/me"))["means"] == "secret"
        assert owner.get("/users").status_code == 200

    def test_guessing_is_ended_but_tokens_go_on(self, house: House) -> None:
        robot = program(house, Scope.STUDIES_READ)
        guesser = Program(house.app.test_client(), "wrong")
        assert [guesser.get("/me").status_code for _ in range(12)] == [401] * 10 + [429] * 2
        answer = Program(house.app.test_client(), SECRET).get("/me")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 200
        assert robot.get("/me").status_code == 200

    def test_a_session_reads_freely_and_changes_with_its_token(self, house: House) -> None:
        client = house.app.test_client()
        with client.session_transaction() as session:
            session["entered"], session["csrf"] = True, "the session's own"
            session["since"] = time.time()
        browser = Program(client, None)
        assert browser.get("/studies").status_code == 200
        refused = browser.hand_in(("chest.png", film_png()))
        assert refused.status_code == 403
        assert json_of(refused)["type"] == "urn:radsuite:problem:foreign-origin"
        for given, status in (("another", 403), ("the session's own", 404)):
            answer = browser.delete("/studies/nothing", headers={"X-CSRF-Token": given})
            assert answer.status_code == status

    def test_a_signed_in_user_is_known_by_name(self, house: House) -> None:
        account = house.services.users.create("ada", Role.READER, PASSWORD)
        client = house.app.test_client()
        with client.session_transaction() as session:
            session["user"], session["since"] = account.id, time.time()
        me = json_of(Program(client, None).get("/me"))
        assert (me["name"], me["role"], me["means"]) == ("ada", "reader", Means.SESSION)
        house.services.users.create("admin", Role.ADMIN)
        house.services.users.change("ada", disabled=True)
        assert Program(client, None).get("/me").status_code == 401

    def test_on_ones_own_computer_programs_need_nothing_and_other_sites_get_nothing(
        self, tmp_path: Path
    ) -> None:
        with open_house(tmp_path / "local") as house:
            local = Program(house.app.test_client(), None)
            assert json_of(local.get("/me"))["means"] == "local"
            assert local.hand_in(("chest.png", film_png())).status_code == 200
            for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                assert local.delete("/studies/chest", headers=header).status_code == 403
            assert local.get("/studies", headers={"Host": "evil.example"}).status_code == 400
            assert local.delete("/studies/chest").status_code == 204

    def test_unknown_addresses_and_methods_are_problems(self, house: House) -> None:
        robot = program(house)
        assert json_of(robot.get("/nothing"))["status"] == 404
        answer = robot.call("PUT", "/studies")
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}


class TestUsers:
    """Users are made and changed by administrators, and locked after wrong passwords."""

    def test_they_are_created_listed_changed_and_removed(self, house: House) -> None:
        admin = program(house)
        made = admin.post("/users", json={"name": "ada", "role": "reader", "password": PASSWORD})
        assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/users/ada")
        assert "password_hash" not in made.text
        assert admin.post("/users", json={"name": "ada", "role": "reader"}).status_code == 409
        assert json_of(admin.patch("/users/ada", json={"role": "researcher"}))["role"] == "researcher"
        page = json_of(admin.get("/users?limit=1"))
        assert [user["name"] for user in page["items"]] == ["ada"]
        rest = json_of(admin.get(f"/users?limit=1&cursor={page['next']}"))
        assert [user["name"] for user in rest["items"]] == ["robot"]
        assert admin.delete("/users/ada").status_code == 204
        assert admin.get("/users/ada").status_code == 404
        actions = [line["action"] for line in json_of(admin.get("/audit"))["items"]]
        assert actions == ["user.removed", "user.changed", "user.created"]

    def test_the_last_administrator_stays(self, house: House) -> None:
        admin = program(house)
        house.services.users.create("ada", Role.READER)
        for answer in (
            admin.delete("/users/robot"),
            admin.patch("/users/robot", json={"role": "reader"}),
            admin.patch("/users/robot", json={"disabled": True}),
        ):
            assert answer.status_code == 409
        house.services.users.change("ada", role=Role.ADMIN)
        assert admin.patch("/users/robot", json={"role": "reader"}).status_code == 200

    @pytest.mark.parametrize("name", ["", "Ada Lovelace", "../x", "local", "system", "x" * 65])
    def test_names_that_cannot_be(self, house: House, name: str) -> None:
        answer = program(house).post("/users", json={"name": name, "role": "reader"})
        assert answer.status_code == 422

    def test_a_short_password_is_refused(self, house: House) -> None:
        with pytest.raises(InputError, match="choose one of 12 to 512"):
            house.services.users.create("ada", Role.READER, "short")

    def test_wrong_passwords_lock_for_longer_and_longer(self, house: House) -> None:
        clock = Clock()
        users = Users(house.services.database, clock)
        users.create("ada", Role.READER, PASSWORD)
        assert users.sign_in("ADA ", PASSWORD).name == "ada"
        for _ in range(FREE_FAILURES):
            with pytest.raises(AccessError):
                users.sign_in("ada", "wrong password")
        with pytest.raises(AccessError):
            users.sign_in("ada", PASSWORD)
        clock.now += FIRST_LOCK_SECONDS + 1
        with pytest.raises(AccessError):
            users.sign_in("ada", "wrong password")
        clock.now += FIRST_LOCK_SECONDS + 1
        with pytest.raises(AccessError):
            users.sign_in("ada", PASSWORD)  # the second lock is twice as long
        clock.now += FIRST_LOCK_SECONDS
        assert users.sign_in("ada", PASSWORD).locked_until is None

    def test_unknown_wrong_locked_and_disabled_are_not_told_apart(self, house: House) -> None:
        users = house.services.users
        users.create("gone", Role.READER, PASSWORD)
        users.create("keyless", Role.ADMIN)
        users.change("gone", disabled=True)
        sentences = set()
        for name, password in (("nobody", PASSWORD), ("gone", PASSWORD), ("keyless", ""), ("gone", "no")):
            with pytest.raises(AccessError) as caught:
                users.sign_in(name, password)
            sentences.add(str(caught.value))
        assert len(sentences) == 1

    def test_the_hash_is_argon2id_and_differs_each_time(self) -> None:
        first, second = hash_password(PASSWORD), hash_password(PASSWORD)
        assert first.startswith("$argon2id$")
        assert first != second
        assert is_right(first, PASSWORD)
        assert not is_right(first, PASSWORD + "x")
        assert not is_right(None, PASSWORD)

    def test_two_users_of_one_name_cannot_be(self, house: House) -> None:
        house.services.users.create("ada", Role.READER)
        with pytest.raises(ConflictError, match="choose another"):
            house.services.users.create("ADA", Role.READER)


class TestCommandLine:
    """``radsuite users`` and ``radsuite tokens``."""

    def run(self, data: Path, *arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(main, [*arguments, "--data", str(data)], input=typed)

    def test_a_user_and_a_token_that_opens_the_door(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        made = self.run(data, "users", "create", "ada", "--role", "admin", "--password-stdin", typed=PASSWORD)
        assert (made.exit_code, made.output) == (0, "ada: admin.\n")
        scopes = ("--scope", "studies:read", "--scope", "admin")
        key = self.run(data, "tokens", "create", "ada", "--name", "gateway", *scopes).output.strip()
        with open_service(data) as house:
            robot = Program(house.app.test_client(), key)
            assert json_of(robot.get("/me"))["name"] == "ada"
            assert house.services.users.sign_in("ada", PASSWORD).role is Role.ADMIN
            assert self.run(data, "tokens", "revoke", "1").exit_code == 0
            assert robot.get("/me").status_code == 401
            actions = [line.action for line in house.services.trail.lines()]
        assert actions == ["token.revoked", "token.created", "user.created"]
        (row,) = json.loads(self.run(data, "tokens", "list", "--json").output)
        assert (row["user"], row["state"], key in str(row)) == ("ada", "revoked", False)
        (user,) = json.loads(self.run(data, "users", "list", "--json").output)
        assert (user["name"], user["role"], user["state"]) == ("ada", "admin", "active")

    def test_mistakes_are_one_sentence(self, tmp_path: Path) -> None:
        for arguments in (
            ("users", "remove", "nobody"),
            ("users", "create", "A B", "--no-password"),
            ("tokens", "create", "nobody", "--name", "x", "--scope", "admin"),
            ("tokens", "revoke", "7"),
        ):
            result = self.run(tmp_path / "data", *arguments)
            assert result.exit_code == 2
            assert result.stderr.count("\n") == 1
