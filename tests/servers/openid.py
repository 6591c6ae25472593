"""An OpenID provider on loopback that signs everybody in as whoever it is told, by real signed tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "dashboard", "secret of the dashboard"


class Provider:
    """Signs in as `login`; `claims` are told besides."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.login = ""
        self.claims: dict[str, Any] = {}
        self._key = RSAKey.generate_key(2048, parameters={"kid": "1", "use": "sig", "alg": "RS256"})
        self._nonces: dict[str, str] = {}

    def metadata(self) -> dict[str, Any]:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {
            "issuer": self.address,
            **{name: f"{self.address}/{path}" for name, path in paths.items()},
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["public"],
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def back(self, asked: dict[str, str]) -> str:
        """Return where the browser goes after the sign-in."""
        code = str(len(self._nonces))
        self._nonces[code] = asked["nonce"]
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, code: str) -> dict[str, Any]:
        now = int(time.time())
        told = {"iss": self.address, "aud": CLIENT, "sub": self.login, "iat": now, "exp": now + 600}
        told |= {"nonce": self._nonces.pop(code), "preferred_username": self.login} | self.claims
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, told, self._key)
        return {"id_token": signed, "access_token": "none", "token_type": "Bearer", "expires_in": 600}


@contextmanager
def openid_provider() -> Iterator[Provider]:
    """Serve a provider for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.back({n: v[0] for n, v in parse_qs(parts.query).items()}))
                self.end_headers()
            else:
                self._tell(provider.keys() if parts.path == "/jwks" else provider.metadata())

        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._tell(provider.token(asked["code"][0]))

        def _tell(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield provider
        finally:
            server.shutdown()
            serving.join()
