"""Signed statements: the id tokens of this service, and the proofs of applications with a certificate."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from servers.microsoft365.people import Application, User
from servers.microsoft365.tokens import Token

if TYPE_CHECKING:
    from servers.microsoft365.tenant import Tenant

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["PS256", "RS256"]
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal accounts."""


@lru_cache(maxsize=1)
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Keys:
    """Signs id tokens."""

    def id_token(self, world: Tenant, app: Application, user: User, nonce: str, token: Token) -> str:
        issued = int(token.issued.timestamp())
        tenant, own_id = home_of(world, user)
        claims = {
            "aud": app.client_id,
            "iss": f"https://login.microsoftonline.com/{tenant}/v2.0",
            "iat": issued,
            "nbf": issued,
            "exp": int(token.expires.timestamp()),
            "name": user.name,
            "oid": own_id,
            "preferred_username": user.upn,
            "sub": hashlib.sha256(f"{app.client_id}{user.id}".encode()).hexdigest(),
            "tid": tenant,
            "ver": "2.0",
            **({"nonce": nonce} if nonce else {}),
        }
        return jwt.encode(claims, _key(), algorithm="RS256", headers={"kid": "1"})


def home_of(world: Tenant, user: User) -> tuple[str, str]:
    """Return where an account is at home, and its id there: personal accounts are in a tenant of Microsoft's own."""
    if user.id in world.users:
        return world.tenant_id, user.id
    return CONSUMERS, f"00000000-0000-0000-{user.id[:4]}-{user.id[4:]}"


def proves(app: Application, form: dict[str, str], audience: str, now: datetime) -> bool:
    """Tell whether a request for a token comes from the application itself: by its secret, or its certificate."""
    if form.get("client_assertion_type") != JWT_BEARER:
        return bool(app.secret) and form.get("client_secret") == app.secret
    statement = form.get("client_assertion", "")
    try:
        header = jwt.get_unverified_header(statement)
        key = _certified(app, header)
        claims = jwt.decode(statement, key, algorithms=ALGORITHMS, audience=audience, options={"verify_exp": False})
    except (jwt.PyJWTError, LookupError):
        return False
    return bool(claims["iss"] == claims["sub"] == app.client_id and claims["exp"] > now.timestamp())


def _certified(app: Application, header: dict[str, str]) -> RSAPublicKey:
    """Return the key of the certificate that a statement names by its thumbprint."""
    for pem in app.certificates:
        certificate = x509.load_pem_x509_certificate(pem)
        der = certificate.public_bytes(serialization.Encoding.DER)
        prints = {"x5t": hashlib.sha1(der).digest(), "x5t#S256": hashlib.sha256(der).digest()}
        for name, digest in prints.items():
            if header.get(name, "").rstrip("=") == base64.urlsafe_b64encode(digest).decode().rstrip("="):
                key = certificate.public_key()
                assert isinstance(key, RSAPublicKey)
                return key
    raise LookupError("no certificate of the application has this thumbprint")
