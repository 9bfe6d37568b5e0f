"""A small OpenID provider for one user: discovery, consent without a question, tokens, keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

CLIENT, CLIENT_SECRET = "radsuite", "the client's own secret"


@dataclass
class Provider:
    """What the provider says of whoever comes; ``claims`` may be changed between sign-ins."""

    address: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    wrong_nonce: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Flask:
        app = Flask("provider")
        app.add_url_rule("/.well-known/openid-configuration", view_func=self._configuration)
        app.add_url_rule("/authorize", view_func=self._authorize)
        app.add_url_rule("/token", view_func=self._token, methods=["POST"])
        app.add_url_rule("/keys", view_func=self._keys)
        return app

    def _configuration(self) -> Response:
        return jsonify(
            issuer=self.address,
            authorization_endpoint=f"{self.address}/authorize",
            token_endpoint=f"{self.address}/token",
            jwks_uri=f"{self.address}/keys",
            id_token_signing_alg_values_supported=["RS256"],
        )

    def _authorize(self) -> AnyResponse:
        code = secrets.token_urlsafe(8)
        self.asked[code] = dict(request.args)
        return redirect(
            f"{request.args['redirect_uri']}?" + urlencode({"code": code, "state": request.args["state"]})
        )

    def _token(self) -> tuple[Response, int]:
        asked = self.asked.pop(request.form["code"])
        digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or asked["code_challenge_method"] != "S256":
            return jsonify(error="invalid_grant"), 400
        now = int(time.time())
        content = {
            "iss": self.address,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": "another" if self.wrong_nonce else asked["nonce"],
            "sub": f"number of {self.claims.get('preferred_username')}",
            **self.claims,
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, content, self.key)
        return jsonify(access_token="a", token_type="Bearer", id_token=token, expires_in=300), 200

    def _keys(self) -> Response:
        return jsonify(keys=[self.key.as_dict(private=False)])


@contextmanager
def open_provider() -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider()
    server = make_server("127.0.0.1", 0, provider.app(), threaded=True)
    provider.address = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
