"""The published test suite of Signature Version 4 (aws-signing-test-suite, v4), with paths normalised as for Lambda.

Each entry: method, path and query as they go over the wire, headers beside Host and X-Amz-Date in the order they are
sent, body, and the signature.
"""

from __future__ import annotations

from typing import NamedTuple

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SCOPE = "20150830/us-east-1/service/aws4_request"
HOST = "example.amazonaws.com"
DATE = "20150830T123600Z"

_LETTERS = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
_FORM_HASH = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
_SESSION = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
_STS_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAk"
    "iY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


class Vector(NamedTuple):
    """One signed request."""

    method: str
    path: str
    query: str
    signature: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def _form(content_type: str, signature: str) -> Vector:
    headers = (("Content-Type", content_type), ("Content-Length", "13"), ("x-amz-content-sha256", _FORM_HASH))
    return Vector("POST", "/", "", signature, headers, b"Param1=value1")


VECTORS = {
    "get-vanilla": Vector("GET", "/", "", _VANILLA),
    "get-header-key-duplicate": Vector(
        "GET", "/", "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        (("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")),
    ),
    "get-header-value-order": Vector(
        "GET", "/", "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        (("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")),
    ),
    "get-header-value-trim": Vector(
        "GET", "/", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        (("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')),
    ),
    "get-relative-normalized": Vector("GET", "/example/..", "", _VANILLA),
    "get-relative-relative-normalized": Vector("GET", "/example1/example2/../..", "", _VANILLA),
    "get-slash-dot-slash-normalized": Vector("GET", "/./", "", _VANILLA),
    "get-slash-normalized": Vector("GET", "//", "", _VANILLA),
    "get-slash-pointless-dot-normalized": Vector(
        "GET", "/./example", "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"
    ),
    "get-slashes-normalized": Vector(
        "GET", "//example//", "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"
    ),
    "get-space-normalized": Vector(
        "GET", "/example space/", "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"
    ),
    "get-unreserved": Vector(
        "GET", f"/{_LETTERS}", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"
    ),
    "get-utf8": Vector(
        "GET", "/\u1234", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"
    ),
    "get-vanilla-empty-query-key": Vector(
        "GET", "/", "Param1=value1", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"
    ),
    "get-vanilla-query-order-encoded": Vector(
        "GET", "/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    "get-vanilla-query-order-key-case": Vector(
        "GET", "/", "Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    ),
    "get-vanilla-query-unreserved": Vector(
        "GET", "/", f"{_LETTERS}={_LETTERS}", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"
    ),
    "get-vanilla-utf8-query": Vector(
        "GET", "/", "\u1234=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"
    ),
    "get-vanilla-with-session-token": Vector(
        "GET", "/", "", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        (("X-Amz-Security-Token", _SESSION),),
    ),
    "post-header-key-sort": Vector(
        "POST", "/", "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        (("My-Header1", "value1"),),
    ),
    "post-header-value-case": Vector(
        "POST", "/", "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        (("My-Header1", "VALUE1"),),
    ),
    "post-sts-header-before": Vector(
        "POST", "/", "", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        (("X-Amz-Security-Token", _STS_TOKEN),),
    ),
    "post-vanilla": Vector("POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-vanilla-query": Vector(
        "POST", "/", "Param1=value1", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"
    ),
    "post-x-www-form-urlencoded": _form(
        "application/x-www-form-urlencoded", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"
    ),
    "post-x-www-form-urlencoded-parameters": _form(
        "application/x-www-form-urlencoded; charset=utf-8",
        "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    ),
}  # fmt: skip
