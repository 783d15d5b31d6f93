"""AWS Signature Version 4: checks signatures, and makes them. Pure: no database, no clock of its own, no Django.

A signature covers method, path, query, the headers it names and the body, so whoever changes one of them on the way is
found out. The region of its scope is not compared with anything: it is signed, and there is only one of us.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
# What AWS allows between the client's clock and ours.
MAX_SKEW: Final = timedelta(minutes=5)
DATE_FORMAT: Final = "%Y%m%dT%H%M%SZ"
MUST_BE_SIGNED: Final = ("host", "x-amz-date")
# Put in by proxies of AWS behind the client's back.
FROM_PROXIES: Final = frozenset({"x-amz-cf-id"})
_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[A-Za-z0-9_-]{1,128})/(?P<date>[0-9]{8})/(?P<region>[A-Za-z0-9-]{1,64})"
    r"/(?P<service>[A-Za-z0-9-]{1,64})/aws4_request,\s*SignedHeaders=(?P<headers>[A-Za-z0-9_;-]{1,4096}),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)


class SignatureRefused(Exception):
    """The signature proves nothing; the message says why, without a word about what would be right."""


class AuthorizationMalformed(SignatureRefused):
    """The header is none that SigV4 knows."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came over the wire: path and query still encoded, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """The `Authorization` header, taken apart."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Authorization:
    """Take the header apart.

    Raises:
        AuthorizationMalformed: it is not of the form `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
    """
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        raise AuthorizationMalformed(
            "Authorization must have the form AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/lambda/aws4_request, "
            "SignedHeaders=…, Signature=…"
        )
    names = tuple(match["headers"].split(";"))
    return Authorization(match["key"], match["date"], match["region"], match["service"], names, match["signature"])


def check_signature(
    request: SignedRequest, given: Authorization, secrets: Iterable[str], *, service: str, now: datetime
) -> None:
    """Return if the request was signed with one of the secrets, for this service, at about this time.

    Raises:
        SignatureRefused: with the reason.
    """
    _check_scope(request, given, service, now)
    _check_headers(request, given)
    text = _string_to_sign(request, given)
    if not any(hmac.compare_digest(_signature(secret, given, text), given.signature) for secret in secrets):
        raise SignatureRefused(
            "The request signature we calculated does not match the signature you provided. Check the secret access "
            "key, and that nothing between us changes path, query, headers or body."
        )


def sign(request: SignedRequest, access_key_id: str, secret: str, *, region: str, service: str) -> str:
    """Return the `Authorization` header of a request, all of whose headers are signed: `host` and `x-amz-date` too."""
    names = tuple(sorted(request.headers))
    date = request.headers["x-amz-date"][:8]
    given = Authorization(access_key_id, date, region, service, names, "")
    signature = _signature(secret, given, _string_to_sign(request, given))
    credential = f"{access_key_id}/{date}/{region}/{service}/aws4_request"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}"


def _check_scope(request: SignedRequest, given: Authorization, service: str, now: datetime) -> None:
    if given.service != service:
        raise SignatureRefused(f"Credential should be scoped to the service {service!r}, not {given.service!r}.")
    text = request.headers.get("x-amz-date", "")
    try:
        # A tenth of what strptime takes; it knows other forms too, so the form is checked first.
        signed_at = datetime.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        signed_at = None
    if signed_at is None:
        raise SignatureRefused("X-Amz-Date must be there, as YYYYMMDDTHHMMSSZ.")
    if text[:8] != given.date:
        raise SignatureRefused("The date in Credential must be that of X-Amz-Date.")
    if abs(now - signed_at) > MAX_SKEW:
        when = "expired" if signed_at < now else "not yet current"
        raise SignatureRefused(
            f"Signature {when}: {signed_at:{DATE_FORMAT}} is more than {MAX_SKEW.seconds // 60} minutes from "
            f"{now:{DATE_FORMAT}}, which it is here. Check the clock."
        )


def _check_headers(request: SignedRequest, given: Authorization) -> None:
    signed = set(given.signed_headers)
    present = {name for name in request.headers if name.startswith("x-amz-")} - FROM_PROXIES
    # One that is not signed could have been added or changed on the way.
    if unsigned := sorted(({*MUST_BE_SIGNED} | present) - signed):
        raise SignatureRefused(f"These headers must be signed: {', '.join(unsigned)}.")
    if given.signed_headers != tuple(sorted(signed)):
        raise SignatureRefused("SignedHeaders must be in lower case, sorted, each once.")
    if missing := sorted(signed - request.headers.keys()):
        raise SignatureRefused(f"Signed headers are missing: {', '.join(missing)}.")
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed is not None and claimed != _sha256(request.body):
        raise SignatureRefused("X-Amz-Content-SHA256 is not the hash of the body; unsigned bodies are not accepted.")


def _string_to_sign(request: SignedRequest, given: Authorization) -> str:
    canonical = "\n".join(
        (
            request.method.upper(),
            _canonical_path(request.path),
            _canonical_query(request.query),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in given.signed_headers),
            "",
            ";".join(given.signed_headers),
            _sha256(request.body),
        )
    )
    scope = f"{given.date}/{given.region}/{given.service}/aws4_request"
    return "\n".join((ALGORITHM, request.headers["x-amz-date"], scope, _sha256(canonical.encode())))


def _canonical_path(path: str) -> str:
    """Without dot segments and doubled slashes, then encoded once more: every service but S3 signs it so."""
    clean = "/" + posixpath.normpath(path or "/").lstrip("/")
    if path.endswith("/") and clean != "/":
        clean += "/"
    return quote(clean, safe="/~")


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _signature(secret: str, given: Authorization, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (given.date, given.region, given.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
