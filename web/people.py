"""Users, for administrators: who may sign in, with which role, and links that let somebody in once."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from suite.accounts.links import LIFETIME_SECONDS
from suite.accounts.principal import Role, Scope
from suite.accounts.provider import EXPECTED_DAYS
from suite.errors import InputError
from web.access import needs
from web.api.problems import of_exception
from web.identity import address, identify
from web.services import services

blueprint = Blueprint("people", __name__)

ROLE_WORDS = {
    Role.READER: "reads, judges, writes and signs reports, sends to nodes",
    Role.RESEARCHER: "reads and judges, sees training runs and the phantom; signs and sends nothing",
    Role.ADMIN: "everything, and users, nodes and the audit trail",
}


@blueprint.get("/people")
@needs(Scope.ADMIN)
def index() -> str:
    """All users."""
    return _page()


@blueprint.post("/people")
@needs(Scope.ADMIN)
def create() -> Response | tuple[str, int]:
    """Add a user, and show the link that lets them in once. 422 for a name that cannot be, 409 if taken."""
    name, role = request.form.get("name", ""), request.form.get("role", "")
    try:
        account = services().users.create(name, _role(role))
    except InputError as error:
        return _page(complaint=str(error), given=name), of_exception(error).status
    detail = {"role": account.role.value}
    services().trail.record(identify(), "user.created", account.name, detail=detail, address=address())
    return _invited(account.name)


@blueprint.post("/people/<name>/link")
@needs(Scope.ADMIN)
def invite(name: str) -> tuple[str, int]:
    """Show a new one-time link of a user. 404 for an unknown one."""
    return _invited(services().users.get(name).name)


@blueprint.post("/people/<name>")
@needs(Scope.ADMIN)
def change(name: str) -> Response:
    """Change the role, disable, or enable. 409 when nobody would be left who may administrate."""
    role, state = request.form.get("role"), request.form.get("state")
    disabled = {"disable": True, "enable": False}.get(state or "")
    services().users.change(name, role=_role(role) if role else None, disabled=disabled)
    detail = {"role": role} if role else {"state": state}
    services().trail.record(identify(), "user.changed", name, detail=detail, address=address())
    return redirect(url_for("people.index"), 303)


@blueprint.post("/people/<name>/provider")
@needs(Scope.ADMIN)
def set_provider(name: str) -> Response:
    """Let the provider's user of that name become this one, or nobody. 409 for one who is bound already."""
    accounts = services().provider_accounts
    expected = request.form.get("expected") == "yes"
    account = accounts.expect(name) if expected else accounts.unbind(name)
    action = "user.binding-allowed" if expected else "user.unbound"
    services().trail.record(identify(), action, account.name, address=address())
    return redirect(url_for("people.index"), 303)


@blueprint.post("/people/<name>/removal")
@needs(Scope.ADMIN)
def remove(name: str) -> Response:
    """Remove a user; reviews, reports and the audit trail keep the name."""
    services().users.remove(name)
    services().trail.record(identify(), "user.removed", name, address=address())
    return redirect(url_for("people.index"), 303)


def _invited(name: str) -> tuple[str, int]:
    key = services().links.create(name)
    services().trail.record(identify(), "user.invited", name, address=address())
    base, path = services().settings.public_url, url_for("access.enter_once", key=key)
    link = base + path if base else url_for("access.enter_once", key=key, _external=True)
    return _page(invited=name, link=link), 200


def _page(**values: object) -> str:
    users = services().users.all()
    fixed = {
        "roles": ROLE_WORDS,
        "hours": round(LIFETIME_SECONDS / 3600),
        "days": EXPECTED_DAYS,
        "has_oidc": services().settings.oidc_issuer is not None,
    }
    return render_template("people/index.html", users=users, **fixed, **values)


def _role(given: str) -> Role:
    if given not in set(Role):
        raise InputError(f"{given!r} is no role; the roles are {', '.join(Role)}.")
    return Role(given)
