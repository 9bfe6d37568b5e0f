"""One's own account: who one is here, and a new password."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from suite.accounts.principal import Means
from suite.accounts.users import Account
from suite.errors import AccessError, InputError
from web import identity
from web.identity import address, attempts, begin_session, identify
from web.services import services

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
def show() -> str:
    """Name, role, and the form for a new password. 404 for those without an account."""
    return render_template("people/account.html", account=_own())


@blueprint.post("/account/password")
def change_password() -> Response | tuple[str, int]:
    """Change one's password; every other session of this user ends. 422 when it cannot be that."""
    account = _own()
    old, new, again = (request.form.get(name, "") for name in ("old", "new", "again"))
    if wait := attempts().wait_seconds(address()):
        abort(429, f"Too many wrong passwords came from this address; wait {round(wait / 60) or 1} min.")
    if session.get(identity.PROVIDER_KEY):
        abort(403, "Your password is kept by your sign-in provider; change it there.")
    try:
        if new != again:
            raise InputError("The two new passwords differ; write the same one twice.")
        if account.has_password:
            services().users.sign_in(account.name, old)
        changed = services().users.change(account.name, password=new)
    except AccessError:
        attempts().note(address())
        complaint = "The old password is wrong, or the account is locked for a while; check it and try again."
        return render_template("people/account.html", account=account, complaint=complaint), 422
    except InputError as error:
        return render_template("people/account.html", account=account, complaint=str(error)), 422
    services().trail.record(identify(), "user.password-changed", account.name, address=address())
    begin_session(changed)
    return redirect(url_for("account.show", changed="yes"), 303)


def _own() -> Account:
    me = identify()
    user_id = me.user_id if me.means is Means.SESSION else None  # a token's scopes do not reach this far
    account = services().users.by_id(user_id) if user_id is not None else None
    if account is None:
        abort(404, "You are here without an account of your own; ask an administrator for one.")
    return account
