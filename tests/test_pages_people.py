"""Signing in and out, who may do what, and what the trail says of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from suite.accounts.links import LIFETIME_SECONDS, OneTimeLinks
from suite.accounts.principal import Role
from suite.accounts.users import FREE_FAILURES
from suite.cli import main
from suite.commands.demo import one_time_path
from suite.errors import AccessError, RecipeError
from suite.settings import load_settings, to_environment
from tests.pages_house import PASSWORD, person, signed_in
from tests.web_house import House, open_house

SECRET = "correct horse battery staple"
REACHABLE = {"host": "0.0.0.0", "public_url": "https://films.example.org"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("people"), sign_in=True) as opened:
        opened.services.users.create("ada", Role.READER, PASSWORD)
        opened.services.users.create("root", Role.ADMIN)
        yield opened


@pytest.fixture(autouse=True)
def forgotten(house: House) -> None:
    """Wrong passwords of one test are not held against the next."""
    house.app.extensions.pop("radsuite.attempts", None)


class TestSigningIn:
    def test_a_password_opens_the_page_that_was_wanted(self, house: House) -> None:
        ada = person(house)
        assert ada.get("/account").headers["Location"] == "/login?next=/account"
        answer = ada.sign_in("ada", wanted="/account")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
        assert "signed in as reader" in ada.get("/account").text
        ada.post("/logout")
        assert ada.get("/").status_code == 302

    def test_a_wrong_password_and_an_unknown_name_read_the_same(self, house: House) -> None:
        answers = [person(house).sign_in(name, "not this one") for name in ("ada", "nobody")]
        assert [answer.status_code for answer in answers] == [401, 401]
        sentences = {"The name or the password is wrong" in answer.text for answer in answers}
        assert sentences == {True}

    def test_an_account_is_locked_after_wrong_passwords(self, house: House) -> None:
        house.services.users.create("carl", Role.READER, PASSWORD)
        carl = person(house)
        for _ in range(FREE_FAILURES):
            assert carl.sign_in("carl", "wrong wrong wrong").status_code == 401
        assert carl.sign_in("carl").status_code == 401
        locked = house.services.users.get("carl").locked_until
        assert locked is not None
        assert 50 < locked - time.time() <= 60

    def test_an_address_that_guesses_must_wait(self, house: House) -> None:
        guesser = person(house)
        for _ in range(10):
            guesser.post("/login", token="a wrong token")
        answer = guesser.sign_in("ada")
        assert answer.status_code == 429
        assert "wait five minutes" in answer.text

    def test_a_session_ends_and_says_so(self, house: House) -> None:
        ada = signed_in(house, "ada")
        assert ada.get("/").status_code == 200
        with ada.client.session_transaction() as session:
            session["since"] = time.time() - house.settings.session_minutes * 60 - 1
        away = ada.get("/research")
        assert away.headers["Location"] == "/login?next=/research&ended=yes"
        assert "Your session has ended" in ada.get(away.headers["Location"]).text
        assert ada.post("/studies", accept="application/json").status_code == 401

    def test_a_new_password_ends_all_other_sessions(self, house: House) -> None:
        house.services.users.create("emma", Role.READER, PASSWORD)
        here, there = signed_in(house, "emma"), signed_in(house, "emma")
        fresh = "another sentence of mine"
        wrong = here.post("/account/password", old="not the old one", new=fresh, again=fresh)
        assert (wrong.status_code, "old password is wrong" in wrong.text) == (422, True)
        unequal = here.post("/account/password", old=PASSWORD, new=fresh, again=fresh + "!")
        assert (unequal.status_code, "differ" in unequal.text) == (422, True)
        assert there.get("/").status_code == 200
        assert here.post("/account/password", old=PASSWORD, new=fresh, again=fresh).status_code == 303
        assert here.get("/").status_code == 200
        assert there.get("/").status_code == 302

    def test_a_session_does_not_pass_to_a_user_who_gets_the_number_of_a_removed_one(
        self, house: House
    ) -> None:
        house.services.users.create("mallory", Role.READER)
        mallory = signed_in(house, "mallory")
        number = house.services.users.get("mallory").id
        house.services.users.remove("mallory")
        house.services.users.create("olga", Role.READER)
        assert house.services.users.get("olga").id == number
        assert mallory.get("/").status_code == 302

    @pytest.mark.parametrize("back", ["//evil.example/", "/\t/evil.example/", "/\\evil.example/"])
    def test_a_form_leads_to_no_other_site(self, house: House, back: str) -> None:
        there = signed_in(house, "ada").post("/theme", theme="light", back=back)
        assert (there.status_code, there.headers["Location"]) == (303, "/")

    def test_a_strange_address_to_go_on_to_is_no_failure(self, house: House) -> None:
        assert person(house).get("/login?next=//[").status_code == 200

    def test_a_disabled_user_is_out_at_once(self, house: House) -> None:
        house.services.users.create("fred", Role.READER)
        fred = signed_in(house, "fred")
        house.services.users.change("fred", disabled=True)
        assert fred.get("/").status_code == 302


class TestLinks:
    def test_a_link_lets_in_once(self, house: House) -> None:
        key = house.services.links.create("ada")
        first, second = person(house), person(house)
        assert first.get(f"/enter/{key}").status_code == 303
        assert first.get("/").status_code == 200
        refused = second.get(f"/enter/{key}")
        assert (refused.status_code, "ask for a new one" in refused.text) == (401, True)
        assert second.get("/").status_code == 302

    def test_a_preview_does_not_use_a_link_up(self, house: House) -> None:
        key = house.services.links.create("ada")
        assert person(house).client.head(f"/enter/{key}").status_code == 405
        assert person(house).get(f"/enter/{key}").status_code == 303

    def test_a_link_ends_with_a_new_password(self, house: House) -> None:
        house.services.users.create("greta", Role.READER)
        key = house.services.links.create("greta")
        house.services.users.change("greta", password=PASSWORD)
        assert person(house).get(f"/enter/{key}").status_code == 401

    def test_a_link_in_a_mail_of_another_site_lets_in_too(self, house: House) -> None:
        """A browser leaves a strict cookie out of a redirection that another site began."""
        ada, key = person(house), house.services.links.create("ada")
        page = ada.client.get(f"/enter/{key}", headers={"Sec-Fetch-Site": "cross-site"})
        assert (page.status_code, "signed in as ada" in page.text) == (200, True)
        assert 'href="/"' in page.text
        assert ada.get("/").status_code == 200

    def test_a_link_grows_old_and_a_new_one_replaces_it(self, house: House) -> None:
        now = [1_000_000.0]
        links = OneTimeLinks(house.services.database, lambda: now[0])
        first, second = links.create("ada"), links.create("ada")
        with pytest.raises(AccessError):
            links.redeem(first)
        now[0] += LIFETIME_SECONDS
        with pytest.raises(AccessError, match="too old"):
            links.redeem(second)

    def test_only_its_hash_is_kept(self, house: House) -> None:
        key = house.services.links.create("ada")
        for path in house.settings.data.glob("radsuite.sqlite3*"):
            assert key.encode() not in path.read_bytes()


class TestRoles:
    @pytest.mark.parametrize(
        ("path", "reader", "researcher", "admin"),
        [
            ("/", 200, 200, 200),
            ("/research", 200, 200, 200),
            ("/research/runs", 403, 200, 200),
            ("/people", 403, 403, 200),
            ("/people/audit", 403, 403, 200),
        ],
    )
    def test_each_role_sees_its_rooms(
        self, house: House, path: str, reader: int, researcher: int, admin: int
    ) -> None:
        for role, expected in (("reader", reader), ("researcher", researcher), ("admin", admin)):
            answer = signed_in(house, f"a-{role}", Role(role)).get(path)
            assert answer.status_code == expected
            if expected == 403:
                assert "ask an administrator" in answer.text
                assert f"a-{role} is {role}" in answer.text

    def test_a_reader_cannot_post_to_the_people_page_either(self, house: House) -> None:
        answer = signed_in(house, "ada").post("/people", name="mallory", role="admin")
        assert answer.status_code == 403
        assert "mallory" not in {user.name for user in house.services.users.all()}

    def test_a_researcher_sends_nothing_and_signs_nothing(self, house: House) -> None:
        rita = signed_in(house, "rita", Role.RESEARCHER)
        assert rita.post("/studies/nothing/push", node="pacs").status_code == 403
        assert rita.post("/studies/nothing/report/addenda", text="x").status_code == 403


class TestAdministration:
    def test_a_new_user_comes_in_by_the_link_that_is_shown(self, house: House) -> None:
        root = signed_in(house, "root")
        page = root.post("/people", name="Gina", role="researcher")
        assert page.status_code == 200
        link = page.text.split('id="link">')[1].split("<")[0]
        gina = person(house)
        assert gina.get("/enter/" + link.rpartition("/")[2]).status_code == 303
        account = gina.get("/account").text
        assert "signed in as researcher" in account
        assert ">Set password<" in account, "there is none to change yet"

    def test_what_cannot_be_is_said(self, house: House) -> None:
        root = signed_in(house, "root")
        odd = root.post("/people", name="no spaces please", role="reader")
        assert (odd.status_code, "cannot be a user name" in odd.text) == (422, True)
        assert root.post("/people", name="ada", role="reader").status_code == 409
        last = [user.name for user in house.services.users.all() if user.role == Role.ADMIN]
        for name in last:
            if name != "root":
                house.services.users.remove(name)
        answer = root.post("/people/root", role="reader")
        assert (answer.status_code, "last administrator" in answer.text) == (409, True)

    def test_the_trail_names_who_did_what(self, house: House) -> None:
        root = signed_in(house, "root")
        root.post("/people", name="hugo", role="reader")
        root.post("/people/hugo", state="disable")
        root.post("/people/hugo/removal")
        page = root.get("/people/audit?subject=hugo").text
        for action in ("user.created", "user.invited", "user.changed", "user.removed"):
            assert f">{action}</code>" in page
        assert "study.opened" not in page


class TestStarting:
    @pytest.mark.parametrize(
        "secret", ["change-me-change-me", "aaaaaaaaaaaaaaaaaaaaaaaa", "0123456789abcdef", "passwordpassword1"]
    )
    def test_a_secret_that_everybody_tries_is_refused(self, secret: str) -> None:
        with pytest.raises(RecipeError, match=r"\(hidden\).*everybody tries first"):
            load_settings(secret=secret)

    def test_others_are_served_behind_tls_only(self) -> None:
        with pytest.raises(RecipeError, match=r"put a proxy.*RADSUITE_PUBLIC_URL"):
            load_settings(host="0.0.0.0", secret=SECRET)
        for address in ("http://films.example.org", "https://", "https://films.example.org/films"):
            with pytest.raises(RecipeError, match=r"https://radsuite\.example\.org"):
                load_settings(host="0.0.0.0", secret=SECRET, public_url=address)
        assert load_settings(secret=SECRET, **REACHABLE).needs_sign_in

    def test_a_public_address_needs_a_sign_in(self) -> None:
        with pytest.raises(RecipeError, match="RADSUITE_SECRET"):
            load_settings(public_url="https://films.example.org")

    def test_behind_the_proxy_cookies_are_secure_and_other_hosts_are_refused(self, tmp_path: Path) -> None:
        with open_house(tmp_path, secret=SECRET, **REACHABLE) as house:
            own = {"Host": "films.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.2.3"}
            answer = house.client.get("/login", headers=own)
            assert answer.status_code == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            cookie = answer.headers["Set-Cookie"]
            assert "Secure" in cookie
            assert "HttpOnly" in cookie
            assert house.client.get("/login", headers={"Host": "evil.example"}).status_code == 400

    def test_children_get_every_setting_and_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        own = load_settings(
            oidc_issuer="https://id.example.org/",
            oidc_client_id="films",
            oidc_client_secret="the client's own secret",
            oidc_roles={"radiology": "reader"},
        )
        for name, value in to_environment(own).items():
            monkeypatch.setenv(name, value)
        assert load_settings() == own

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"oidc_issuer": "https://id.example.org"}, "go together"),
            ({"oidc_issuer": "http://id.example.org"}, "no https:// address"),
        ],
    )
    def test_half_an_oidc_is_refused(self, values: dict[str, str], sentence: str) -> None:
        with pytest.raises(RecipeError, match=sentence):
            load_settings(**values)


def test_the_demonstration_prints_a_path_that_lets_in_once(tmp_path: Path) -> None:
    with open_house(tmp_path, sign_in=True) as house:
        path = one_time_path(house.settings)
        first, second = person(house), person(house)
        assert first.get(f"/{path}").status_code == 303
        assert first.get("/people").status_code == 200
        assert second.get(f"/{path}").status_code == 401


def test_the_command_line_prints_a_link_for_a_user(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path)]
    runner = CliRunner()
    made = runner.invoke(main, ["users", "create", "ada", "--role", "admin", "--no-password", *arguments])
    assert made.exit_code == 0
    printed = runner.invoke(main, ["users", "link", "ada", *arguments]).output.strip()
    assert runner.invoke(main, ["users", "link", "nobody", *arguments]).exit_code == 2
    with open_house(tmp_path, sign_in=True) as house:
        ada = person(house)
        assert ada.get("/enter/" + printed.rpartition("/")[2]).status_code == 303
        assert "user.invited" in ada.get("/people/audit").text
