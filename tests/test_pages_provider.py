"""Sign-in by an OpenID provider: whose account it is, whoever has which name where."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner
from sqlalchemy import text
from werkzeug.test import TestResponse

import suite.jobs
from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Role, Scope
from suite.accounts.provider import EXPECTED_DAYS, ProviderAccounts, ProviderIdentity
from suite.accounts.users import Users
from suite.cli import main
from suite.errors import AccessError, ConflictError, InputError
from suite.jobs.database import Database, open_engine
from suite.settings import Settings, load_settings
from tests.jobs_fleet import at_once
from tests.jobs_services import new_database
from tests.made_provider import CLIENT, CLIENT_SECRET, Provider, open_provider
from tests.pages_house import PASSWORD, Person, person, signed_in
from tests.web_house import House, open_house

ISSUER = "https://id.example.org"


class _Stay(HTTPRedirectHandler):
    """Does not follow: the test is the browser."""

    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with open_provider() as opened:
        yield opened


@pytest.fixture(scope="module")
def front(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(
        tmp_path_factory.mktemp("oidc"),
        oidc_issuer=provider.address,
        oidc_client_id=CLIENT,
        oidc_client_secret=CLIENT_SECRET,
        oidc_roles={"radiology": "reader", "it": "admin"},
    ) as opened:
        yield opened


def come_back(somebody: Person, provider: Provider) -> TestResponse:
    """The way to the provider and back, as a browser goes it."""
    there = somebody.get("/login/oidc").headers["Location"]
    assert there.startswith(provider.address)
    try:
        build_opener(_Stay()).open(there, timeout=10)
    except HTTPError as answer:
        with answer:
            back = answer.headers["Location"]
    return somebody.get("/" + back.split("/", 3)[3])


class TestOpenId:
    """Sign-in by a provider, with a small one that keeps the rules."""

    def test_whom_the_provider_vouches_for_is_let_in_with_their_role(
        self, front: House, provider: Provider
    ) -> None:
        provider.claims = {"preferred_username": "Ida", "roles": ["radiology", "canteen"]}
        ida = person(front)
        assert "hospital account" in ida.get("/login").text
        assert come_back(ida, provider).status_code == 303
        assert "signed in as reader" in ida.get("/account").text
        provider.claims["roles"] = "it"
        assert come_back(person(front), provider).status_code == 303
        assert front.services.users.get("ida").role is Role.ADMIN

    def test_the_provider_is_asked_again_before_a_session_by_password_ends(
        self, front: House, provider: Provider
    ) -> None:
        """Whom it drops meanwhile is not let in again; who signed in here is none of its affair."""
        provider.claims = {"preferred_username": "zora", "roles": ["radiology"]}
        zora, zeno = person(front), signed_in(front, "zeno")
        assert come_back(zora, provider).status_code == 303
        for somebody in (zora, zeno):
            with somebody.client.session_transaction() as session:
                session["since"] = time.time() - front.settings.oidc_session_minutes * 60 - 1
        assert zora.get("/").headers["Location"].endswith("ended=yes")
        assert zeno.get("/").status_code == 200
        provider.claims["roles"] = []
        assert come_back(zora, provider).status_code == 403

    def test_whom_the_provider_vouches_for_gets_no_password_here(
        self, front: House, provider: Provider
    ) -> None:
        provider.claims = {"preferred_username": "jana", "roles": ["radiology"]}
        jana = person(front)
        assert come_back(jana, provider).status_code == 303
        assert jana.post("/account/password", new=PASSWORD, again=PASSWORD).status_code == 403
        assert not front.services.users.get("jana").has_password

    @pytest.mark.parametrize("roles", [True, None, {"radiology": 1}])
    def test_a_strange_word_on_roles_is_no_role(
        self, front: House, provider: Provider, roles: object
    ) -> None:
        provider.claims = {"preferred_username": "kurt", "roles": roles}
        assert come_back(person(front), provider).status_code == 403

    def test_nobody_comes_in_without_a_role(self, front: House, provider: Provider) -> None:
        provider.claims = {"preferred_username": "karl", "roles": ["canteen"]}
        karl = person(front)
        refused = come_back(karl, provider)
        assert (refused.status_code, "no role in this service" in refused.text) == (403, True)
        assert karl.get("/").status_code == 302

    def test_an_account_with_a_password_is_not_taken_over(self, front: House, provider: Provider) -> None:
        front.services.users.create("lisa", Role.ADMIN, PASSWORD)
        provider.claims = {"preferred_username": "lisa", "roles": ["radiology"]}
        assert come_back(person(front), provider).status_code == 403

    def test_an_answer_to_another_question_is_refused(self, front: House, provider: Provider) -> None:
        provider.claims = {"preferred_username": "mona", "roles": ["radiology"]}
        provider.wrong_nonce = True
        assert come_back(person(front), provider).status_code == 401
        provider.wrong_nonce = False
        assert person(front).get("/login/oidc/finish?code=a&state=invented").status_code == 401


class TestWhoseAccountItIs:
    """An account is bound to issuer and subject; a name alone opens nothing."""

    def arrive(self, provider: Provider, front: House, name: str, **claims: object) -> TestResponse:
        provider.claims = {"preferred_username": name, "roles": ["radiology"], **claims}
        return come_back(person(front), provider)

    @pytest.mark.parametrize("way", ["for tokens", "invited", "disabled"])
    def test_an_account_without_a_password_is_not_taken_over(
        self, front: House, provider: Provider, way: str
    ) -> None:
        name = f"local.{way.replace(' ', '-')}"
        users = front.services.users
        users.create(name, Role.ADMIN)
        users.create("keeper", Role.ADMIN) if way == "for tokens" else None
        if way == "invited":
            front.services.links.create(name)
        elif way == "disabled":
            users.change(name, disabled=True)
        refused = self.arrive(provider, front, name.upper())
        assert refused.status_code == 403
        assert f"radsuite users bind {name}" in refused.text
        assert users.get(name).role is Role.ADMIN
        assert not users.get(name).by_provider

    def test_a_name_that_changes_at_the_provider_changes_nothing_here(
        self, front: House, provider: Provider
    ) -> None:
        assert self.arrive(provider, front, "nora", sub="17").status_code == 303
        known = front.services.users.get("nora")
        assert self.arrive(provider, front, "Nora Married, of no name here", sub="17").status_code == 303
        assert front.services.users.get("nora") == known
        given_on = self.arrive(provider, front, "nora", sub="18")
        assert (given_on.status_code, "belongs to somebody else" in given_on.text) == (403, True)

    @pytest.mark.parametrize("sub", ["x" * 256, "a\0b", ""])
    def test_a_subject_that_cannot_be_kept_is_refused(
        self, front: House, provider: Provider, sub: str
    ) -> None:
        assert self.arrive(provider, front, "odd", sub=sub).status_code in (401, 403)
        assert "odd" not in {user.name for user in front.services.users.all()}

    def test_an_administrator_lets_an_account_be_taken_over_by_its_owner(
        self, front: House, provider: Provider
    ) -> None:
        services = front.services
        services.users.create("paul", Role.RESEARCHER, PASSWORD)
        _, key = services.tokens.create("paul", "gateway", [Scope.STUDIES_READ])
        before = person(front)
        assert before.sign_in("paul").status_code == 303
        boss = signed_in(front, "boss", Role.ADMIN)
        assert "Expect from provider" in boss.get("/people").text
        assert boss.post("/people/paul/provider", expected="yes").status_code == 303
        assert "expected from provider" in boss.get("/people").text
        assert before.get("/").status_code == 200
        assert self.arrive(provider, front, "paul").status_code == 303
        paul = services.users.get("paul")
        assert (paul.by_provider, paul.has_password, paul.role) == (True, False, Role.READER)
        assert before.get("/").status_code == 302
        assert person(front).sign_in("paul").status_code == 401
        assert services.tokens.recognise(key).name == "paul"
        actions = {line.action: line.detail for line in services.trail.lines(subject="paul")}
        assert actions["user.bound"] == {"by": "oidc", "role": "reader"}
        assert {"user.binding-allowed", "user.changed"} < set(actions)

    def test_who_is_bound_gets_no_password_and_no_link(self, front: House, provider: Provider) -> None:
        assert self.arrive(provider, front, "quinn").status_code == 303
        boss = signed_in(front, "boss", Role.ADMIN)
        page = boss.get("/people").text
        row = page[page.index('<th scope="row">quinn<') :].split("</tr>")[0]
        assert "by provider" in row
        assert "One-time link" not in row
        assert boss.post("/people/quinn/link").status_code == 409
        with pytest.raises(ConflictError, match="radsuite users unbind quinn"):
            front.services.users.change("quinn", password=PASSWORD)
        assert boss.post("/people/quinn/provider", expected="yes").status_code == 409

    def test_unbinding_ends_their_sessions_and_needs_a_word_for_the_next(
        self, front: House, provider: Provider
    ) -> None:
        provider.claims = {"preferred_username": "rosa", "roles": ["radiology"]}
        rosa = person(front)
        assert come_back(rosa, provider).status_code == 303
        assert "kept by your sign-in provider" in rosa.get("/account").text
        boss = signed_in(front, "boss", Role.ADMIN)
        assert boss.post("/people/rosa/provider", expected="no").status_code == 303
        assert rosa.get("/").status_code == 302
        assert come_back(rosa, provider).status_code == 403

    def test_a_session_of_an_account_that_no_provider_vouches_for_ends(self, front: House) -> None:
        """As those do that a provider began before accounts were bound."""
        somebody = signed_in(front, "sven")
        assert somebody.get("/").status_code == 200
        with somebody.client.session_transaction() as session:
            session["by_provider"] = True
        assert somebody.get("/").status_code == 302

    def test_disabled_stays_out_and_removed_may_come_again(self, front: House, provider: Provider) -> None:
        assert self.arrive(provider, front, "tess").status_code == 303
        front.services.users.change("tess", disabled=True)
        refused = self.arrive(provider, front, "tess")
        assert (refused.status_code, "disabled" in refused.text) == (403, True)
        front.services.users.remove("tess")
        assert self.arrive(provider, front, "tess").status_code == 303


class Clock:
    """Seconds that pass when told to."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    urls = {}
    if request.param == "postgres":
        urls["database_url"] = new_database(request.getfixturevalue("postgres"))
    return load_settings(data=tmp_path / "data", **urls)


@pytest.fixture
def database(installation: Settings) -> Iterator[Database]:
    opened = Database(installation)
    yield opened
    opened.close()


class TestAccountsOfAProvider:
    """What the pages stand on, in both databases."""

    def accounts(self, database: Database, clock: Callable[[], float] = time.time) -> ProviderAccounts:
        return ProviderAccounts(database, clock, AuditTrail(database, clock))

    def test_one_who_comes_many_times_at_once_is_one_account(self, database: Database) -> None:
        accounts, who = self.accounts(database), ProviderIdentity(ISSUER, "1")
        found = at_once(6, lambda _: accounts.sign_in(who, "ada", Role.READER))
        assert len({account.id for account in found}) == 1
        assert [user.name for user in Users(database, time.time).all()] == ["ada"]

    def test_who_was_first_between_two_looks_is_the_same_person(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As PostgreSQL may have it: another request's account is seen by name, not yet by subject."""
        accounts, who = self.accounts(database), ProviderIdentity(ISSUER, "1")
        first = accounts.sign_in(who, "ada", Role.READER)
        monkeypatch.setattr("suite.accounts.provider._known", lambda *_: None)
        assert accounts.sign_in(who, "ada", Role.READER).id == first.id
        events = [event.action for event in AuditTrail(database, time.time).lines()]
        assert events.count("user.created") == 1
        assert "user.bound" not in events

    def test_two_of_one_name_at_once_are_one_account_and_one_refusal(self, database: Database) -> None:
        accounts = self.accounts(database)

        def come(number: int) -> str:
            try:
                return accounts.sign_in(ProviderIdentity(ISSUER, str(number)), "ada", Role.READER).name
            except AccessError:
                return "refused"

        assert sorted(at_once(2, come)) == ["ada", "refused"]

    def test_the_same_subject_of_another_issuer_is_somebody_else(self, database: Database) -> None:
        accounts = self.accounts(database)
        accounts.sign_in(ProviderIdentity(ISSUER + "/", "1"), "ada", Role.READER)
        assert accounts.sign_in(ProviderIdentity(ISSUER, "1"), "x", Role.READER).name == "ada"
        with pytest.raises(AccessError, match="belongs to somebody else"):
            accounts.sign_in(ProviderIdentity("https://other.example.org", "1"), "ada", Role.READER)

    def test_expectation_ends_and_can_be_taken_back(self, database: Database) -> None:
        clock, who = Clock(), ProviderIdentity(ISSUER, "1")
        accounts = self.accounts(database, clock)
        Users(database, clock).create("ada", Role.READER)
        accounts.expect("ada")
        accounts.unbind("ada")
        with pytest.raises(AccessError, match="does not vouch"):
            accounts.sign_in(who, "ada", Role.READER)
        accounts.expect("ada")
        clock.now += EXPECTED_DAYS * 86_400
        with pytest.raises(AccessError, match="does not vouch"):
            accounts.sign_in(who, "ada", Role.READER)
        accounts.expect("ada")
        clock.now += EXPECTED_DAYS * 86_400 - 1
        assert accounts.sign_in(who, "ada", Role.READER).by_provider

    def test_the_last_administrator_is_not_bound_to_a_reader(self, database: Database) -> None:
        accounts, users = self.accounts(database), Users(database, time.time)
        users.create("root", Role.ADMIN, PASSWORD)
        accounts.expect("root")
        with pytest.raises(ConflictError, match="last administrator"):
            accounts.sign_in(ProviderIdentity(ISSUER, "1"), "root", Role.READER)
        assert users.sign_in("root", PASSWORD).role is Role.ADMIN

    def test_a_name_that_cannot_be_is_refused(self, database: Database) -> None:
        with pytest.raises(InputError, match="cannot be a user name"):
            self.accounts(database).sign_in(ProviderIdentity(ISSUER, "1"), "system", Role.READER)

    def test_users_of_an_older_database_are_bound_to_nobody(self, installation: Settings) -> None:
        installation.data.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(Path(suite.jobs.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        engine = open_engine(installation, changing_tables=True)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "20261126_storage_commitment")
            for name in ("ada", "bob"):
                connection.execute(
                    text(
                        "INSERT INTO user_account (name, role, created_at, failed_logins) "
                        "VALUES (:name, 'reader', 1, 0)"
                    ),
                    {"name": name},
                )
        database = Database(installation)
        assert [user.by_provider for user in Users(database, time.time).all()] == [False, False]
        with pytest.raises(AccessError, match="does not vouch"):
            self.accounts(database).sign_in(ProviderIdentity(ISSUER, "1"), "ada", Role.READER)
        database.close()
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "20261126_storage_commitment")
            kept = connection.execute(text("SELECT name FROM user_account ORDER BY name")).scalars().all()
            assert kept == ["ada", "bob"]
            command.upgrade(config, "head")
        engine.dispose()


def test_the_command_line_binds_and_unbinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["users", *arguments, "--data", str(tmp_path)])
        return result.exit_code, result.output

    def ways() -> list[str]:
        return [user["signs_in_by"] for user in json.loads(run("list", "--json")[1])]

    for name in ("ada", "bob"):
        run("create", name, "--no-password")
    assert ways() == ["link or token"] * 2
    assert run("bind", "ada", "bob")[0] == 0
    assert [way.partition(" until")[0] for way in ways()] == ["provider, expected"] * 2
    assert run("unbind", "bob") == (0, "bob: link or token.\n")
    code, told = run("bind", "bob", "--subject", "7")
    assert (code, "RADSUITE_OIDC_ISSUER" in told) == (2, True)
    monkeypatch.setenv("RADSUITE_OIDC_ISSUER", ISSUER)
    monkeypatch.setenv("RADSUITE_OIDC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("RADSUITE_OIDC_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("RADSUITE_OIDC_ROLES", '{"radiology": "reader"}')
    assert run("bind", "ada", "bob", "--subject", "7")[0] == 2
    assert run("bind", "bob", "--subject", "7") == (0, "bob: provider.\n")
    assert run("bind", "ada", "--subject", "7")[0] == 2
    with open_house(tmp_path) as house:
        accounts = house.services.provider_accounts
        assert accounts.sign_in(ProviderIdentity(ISSUER, "7"), "ada", Role.READER).name == "bob"
        assert [line.action for line in house.services.trail.lines(subject="bob", limit=3)] == [
            "user.bound",
            "user.unbound",
            "user.binding-allowed",
        ]
