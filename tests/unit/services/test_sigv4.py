"""Signature Version 4: against the published vectors, and against AWS's own signer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from durable_engine.services.sigv4 import (
    AuthorizationMalformed,
    SignatureRefused,
    SignedRequest,
    check_signature,
    parse_authorization,
    sign,
)
from tests.unit.services.sigv4_vectors import DATE, HOST, KEY_ID, SCOPE, SECRET, VECTORS, Vector

THEN = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
ARN = (
    "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aa%3A%24LATEST%2Fdurable-execution%2Fn%2F"
    "0190f5fe-7c00-7000-8000-000000000001"
)


def sent(vector: Vector) -> SignedRequest:
    """The request as a web server passes it on: fields of one name are one, with commas."""
    headers = {"host": HOST, "x-amz-date": DATE}
    for name, value in vector.headers:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known},{value}"
    return SignedRequest(vector.method, vector.path, vector.query, headers, vector.body)


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors_are_accepted_and_made(name: str) -> None:
    vector = VECTORS[name]
    request = sent(vector)
    header = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{SCOPE}, SignedHeaders={';'.join(sorted(request.headers))}, "
        f"Signature={vector.signature}"
    )
    check_signature(request, parse_authorization(header), [SECRET], service="service", now=THEN)
    assert sign(request, KEY_ID, SECRET, region="us-east-1", service="service") == header


@pytest.mark.parametrize("name", VECTORS)
def test_no_vector_is_accepted_with_another_signature_or_body(name: str) -> None:
    vector = VECTORS[name]
    request = sent(vector)
    header = sign(request, KEY_ID, SECRET, region="us-east-1", service="service")
    other = header[:-1] + ("0" if header[-1] != "0" else "1")
    for changed, given in ((request, other), (replace(request, body=vector.body + b"x"), header)):
        with pytest.raises(SignatureRefused):
            check_signature(changed, parse_authorization(given), [SECRET], service="service", now=THEN)


def signed(
    method: str = "POST",
    url: str = "https://host.example:8000/2015-03-31/functions/a/invocations?Qualifier=%24LATEST",
    body: bytes = b'{"a": 1}',
    secret: str = SECRET,
    region: str = "eu-west-1",
    service: str = "lambda",
    headers: dict[str, str] | None = None,
) -> SignedRequest:
    """A request as AWS's own signer sends it."""
    request = AWSRequest(
        method=method, url=url, data=body, headers={"X-Amz-Invocation-Type": "Event", **(headers or {})}
    )
    SigV4Auth(Credentials(KEY_ID, secret), service, region).add_auth(request)
    parts = urlsplit(url)
    sent = {name.lower(): value for name, value in request.prepare().headers.items()}
    return SignedRequest(method, parts.path, parts.query, {"host": parts.netloc, **sent}, body)


def check(request: SignedRequest, *secrets: str, now: datetime | None = None) -> None:
    given = parse_authorization(request.headers["authorization"])
    check_signature(request, given, secrets or (SECRET,), service="lambda", now=now or datetime.now(UTC))


@pytest.mark.parametrize(
    "sign",
    [
        lambda: signed(),
        lambda: signed("GET", f"https://host.example/2025-12-01/durable-executions/{ARN}/history?MaxItems=5&Marker=a%3Ab-_%2B"),
        lambda: signed(url="https://host.example/durable-execution-callbacks/AQg%2F%2BxY%3D/succeed", body=b"\xff\x00"),
        lambda: signed("GET", "https://host.example/list?Statuses=FAILED&Statuses=RUNNING&empty=", body=b""),
        lambda: signed(headers={"X-Amz-Tenant-Id": "blanks   inside  it", "Content-Type": "application/json"}),
    ],
    ids=["invoke", "arn and marker", "bytes", "repeated parameter", "blanks"],
)  # fmt: skip
def test_what_botocore_signs_is_accepted(sign: Callable[[], SignedRequest]) -> None:
    check(sign())


def test_during_a_rotation_both_secrets_are_accepted() -> None:
    check(signed(), "the-new-one", SECRET)


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"body": b'{"a": 2}'}, "body"),
        ({"path": "/2015-03-31/functions/b/invocations"}, "path"),
        ({"path": "/2015-03-31/functions/%61/invocations"}, "another spelling of the path"),
        ({"query": "Qualifier=2"}, "query"),
        ({"query": ""}, "query taken away"),
        ({"method": "DELETE"}, "method"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_that_was_changed_on_the_way_is_refused(change: dict[str, object], about: str) -> None:
    with pytest.raises(SignatureRefused, match="does not match"):
        check(replace(signed(), **change))  # type: ignore[arg-type]


def test_a_signed_header_that_was_changed_is_refused() -> None:
    request = signed()
    with pytest.raises(SignatureRefused, match="does not match"):
        check(replace(request, headers={**request.headers, "x-amz-invocation-type": "RequestResponse"}))


def test_a_header_of_aws_that_was_added_is_refused() -> None:
    request = signed()
    with pytest.raises(SignatureRefused, match="must be signed: x-amz-tenant-id"):
        check(replace(request, headers={**request.headers, "x-amz-tenant-id": "another"}))


def test_another_secret_is_refused_and_none_is_named() -> None:
    with pytest.raises(SignatureRefused) as refused:
        check(signed(), "another")
    assert SECRET not in str(refused.value)
    assert "another" not in str(refused.value)


@pytest.mark.parametrize("skew", [timedelta(minutes=5, seconds=30), timedelta(minutes=-5, seconds=-30)])
def test_a_date_too_far_from_now_is_refused(skew: timedelta) -> None:
    with pytest.raises(SignatureRefused, match="more than 5 minutes"):
        check(signed(), now=datetime.now(UTC) + skew)


def test_a_signature_for_another_service_or_day_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="scoped to the service 'lambda'"):
        check(signed(service="s3"))
    request = signed()
    moved = request.headers["authorization"].replace(f"{datetime.now(UTC):%Y%m%d}", "20150830")
    with pytest.raises(SignatureRefused, match="date in Credential"):
        check(replace(request, headers={**request.headers, "authorization": moved}))


def test_a_hash_of_the_body_that_is_not_its_own_is_refused() -> None:
    other = hashlib.sha256(b"other").hexdigest()
    for claimed in (other, "UNSIGNED-PAYLOAD"):
        with pytest.raises(SignatureRefused, match="not the hash of the body"):
            check(signed(headers={"X-Amz-Content-SHA256": claimed}))


def test_host_and_date_have_to_be_signed() -> None:
    request = signed()
    for name in ("host", "x-amz-date"):
        names = request.headers["authorization"].replace(f"{name};", "").replace(f";{name}", "")
        with pytest.raises(SignatureRefused, match=f"must be signed: .*{name}"):
            check(replace(request, headers={**request.headers, "authorization": names}))


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/lambda, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/lambda/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-ECDSA-P256-SHA256 Credential=A/20150830/lambda/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "Basic dXNlcjpwYXNz",
    ],
)
def test_a_header_of_another_form_is_refused(header: str) -> None:
    with pytest.raises(AuthorizationMalformed):
        parse_authorization(header)
