"""Parsers of environment values: each returns the typed value or raises ValueError with the problem in words."""

import json
import re
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.remote import checked_url

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,140}")
REMOTE_OPTIONS = frozenset({"url", "version", "queue", "invocation_timeout", "execution_timeout"})
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
EMAIL_SCHEMES = ("console", "smtp", "smtp+tls", "smtps")
SHORTEST_SECRET = 32
LONGEST_SECONDS = 86_400.0
LONGEST_DAYS = 36_500.0


def ratio(text: str) -> float:
    """A part of the whole, from 0 to 1."""
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise ValueError(f"{text!r} is not a number from 0 to 1")
    return part


def flag(text: str) -> bool:
    """`1`, `true`, `yes`, `on` or their opposites."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"{text!r} is neither on (1, true, yes, on) nor off (0, false, no, off)")


def seconds(text: str) -> float:
    """A duration above 0 and at most a day."""
    value = seconds_or_zero(text)
    if value == 0:
        raise ValueError("must be more than 0 seconds")
    return value


def seconds_or_zero(text: str) -> float:
    """A duration from 0 to a day."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    # Written so that NaN, for which every comparison is false, is refused too.
    if not 0 <= value <= LONGEST_SECONDS:
        raise ValueError(f"{text!r} is not between 0 and {LONGEST_SECONDS:g} seconds")
    return value


def days(text: str) -> float:
    """A number of days above 0 and at most 100 years."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of days") from None
    if not 0 < value <= LONGEST_DAYS:
        raise ValueError(f"{text!r} is not above 0 and at most {LONGEST_DAYS:g} days")
    return value


def count(text: str) -> int:
    """A whole number from 1 to 1000."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise ValueError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)


def records(text: str) -> int:
    """A whole number from 0 to 100000."""
    if not text.isascii() or not text.isdigit() or not int(text) <= 100_000:
        raise ValueError(f"{text!r} is not a whole number from 0 to 100000")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def path(text: str) -> Path:
    """A directory, made absolute; it need not exist yet."""
    value = Path(text).expanduser().absolute()
    if value.exists() and not value.is_dir():
        raise ValueError(f"{text!r} is not a directory")
    return value


def file(text: str) -> Path:
    """A file, made absolute; it need not exist yet, but the directory it is in must."""
    value = Path(text).expanduser().absolute()
    if value.is_dir():
        raise ValueError(f"{text!r} is a directory")
    if not value.parent.is_dir():
        raise ValueError(f"there is no directory {str(value.parent)!r}")
    return value


def name(text: str) -> str:
    """1 to 64 letters, digits, dots, dashes or underscores."""
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not 1 to 64 letters, digits, dots, dashes or underscores")
    return text


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list of names."""
    return tuple(name(item) for item in _items(text))


def modules(text: str) -> tuple[str, ...]:
    """A comma-separated list of dotted Python module names."""
    for item in _items(text):
        if not MODULE.fullmatch(item):
            raise ValueError(f"{item!r} is not the dotted name of a Python module")
    return _items(text)


def dotted_name(text: str) -> str:
    """The dotted name of something in a Python module."""
    if not MODULE.fullmatch(text) or "." not in text:
        raise ValueError(f"{text!r} is not the dotted name of a function, its module included")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """A comma-separated list of host names or addresses, without scheme and port."""
    for item in _items(text):
        if not HOST.fullmatch(item) and not _is_address(item.strip("[]")):
            raise ValueError(f"{item!r} is not a host name or address (leave out scheme, port and path)")
    return _items(text)


def origins(text: str) -> tuple[str, ...]:
    """A comma-separated list of origins: scheme and host, a port when it is not the usual one, nothing more."""
    for item in _items(text):
        parts = urlsplit(item)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.netloc
            or parts.path
            or parts.query
            or "@" in parts.netloc
        ):
            raise ValueError(f"{item!r} is not an origin (http:// or https:// and a host, without a path)")
    return _items(text)


def origin(text: str) -> str:
    """One origin, without a slash at its end."""
    found = origins(text.rstrip("/"))
    if len(found) != 1:
        raise ValueError("give one origin, not several")
    return found[0]


def email_address(text: str) -> str:
    """The sender of mail: an address, or a name and an address."""
    _, address = parseaddr(text)
    local, at, domain = address.partition("@")
    if not (local and at and domain) or "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} is not a mail address")
    return text


def webhooks(text: str) -> tuple[tuple[str, str, str], ...]:
    """`name=url|secret` entries, separated by spaces. No message repeats a secret."""
    found: list[tuple[str, str, str]] = []
    for key, value in _named(text):
        url, bar, secret = value.partition("|")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError(f"the URL of {key!r} must begin with https:// or http:// and name a host")
        if not bar or len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the secret of {key!r}, behind a |, has fewer than {SHORTEST_SECRET} characters")
        found.append((key, url, secret))
    return tuple(found)


def named_urls(text: str) -> tuple[tuple[str, str], ...]:
    """`name=url` entries, separated by spaces. No message repeats a URL: it may hold a token."""
    found = tuple(_named(text))
    for key, url in found:
        if not re.match(r"[a-z0-9]+://.", url):
            raise ValueError(f"the URL of {key!r} must begin with its kind, for example slack://")
    return found


def secret_key(text: str) -> str:
    """At least 32 characters, not one repeated."""
    if len(text) < SHORTEST_SECRET or len(set(text)) < 8:
        raise ValueError(f"too easy to guess, it needs at least {SHORTEST_SECRET} random characters")
    return text


def secret_keys(text: str) -> tuple[str, ...]:
    """Secrets of at least 32 characters, comma-separated. No message repeats one."""
    secrets = _items(text)
    for number, item in enumerate(secrets, start=1):
        if len(item) < SHORTEST_SECRET or len(set(item)) < 8:
            raise ValueError(f"entry {number} is too easy to guess, it needs at least {SHORTEST_SECRET} characters")
    return secrets


def region(text: str) -> str:
    """A name of the form AWS gives its regions."""
    if not REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form of a region")
    return text


def remote_functions(text: str) -> tuple[dict[str, Any], ...]:
    """A JSON object of function names to base URLs, or to objects with `url` and options of `register_remote`."""
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise ValueError(f"not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object of function names to URLs")
    return tuple(_remote_function(name, options) for name, options in value.items())


def _remote_function(name: str, given: object) -> dict[str, Any]:
    options = {"url": given} if isinstance(given, str) else given
    if not FUNCTION.fullmatch(name):
        raise ValueError(f"{name!r} is not 1 to 140 letters, digits, '-' or '_'")
    if not isinstance(options, dict) or not isinstance(options.get("url"), str):
        raise ValueError(f"{name}: must be a URL, or an object with a url")
    if unknown := sorted(options.keys() - REMOTE_OPTIONS):
        raise ValueError(f"{name}: unknown option {unknown[0]!r}; there are {', '.join(sorted(REMOTE_OPTIONS))}")
    try:
        checked_url(options["url"])
    except ValidationError as problem:
        raise ValueError(f"{name}: {problem}") from None
    for option in ("invocation_timeout", "execution_timeout"):
        if option in options:
            options = {**options, option: timedelta(seconds=seconds(str(options[option])))}
    if not isinstance(options.get("version", 1), int) or not isinstance(options.get("queue", ""), str):
        raise ValueError(f"{name}: version must be a whole number, queue text")
    return {"name": name, **options}


def account_id(text: str) -> str:
    """12 digits."""
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError(f"{text!r} is not 12 digits")
    return text


def callback_keys(text: str) -> tuple[tuple[str, str], ...]:
    """`id:secret` pairs, comma-separated, with distinct ids and secrets of at least 32 characters.

    No message repeats a secret.
    """
    pairs: list[tuple[str, str]] = []
    for number, item in enumerate(_items(text), start=1):
        key_id, colon, secret = item.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9]{1,8}", key_id):
            raise ValueError(f"entry {number} is not id:secret with an id of 1 to 8 letters or digits")
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the secret of {key_id!r} has fewer than {SHORTEST_SECRET} characters")
        if key_id in dict(pairs):
            raise ValueError(f"the id {key_id!r} is there twice")
        pairs.append((key_id, secret))
    return tuple(pairs)


def database_url(text: str) -> str:
    """A `postgresql://` URL as libpq reads it, with a database name."""
    _scheme(text, ("postgresql", "postgres"))
    try:
        parts = conninfo_to_dict(text)
        ports = str(parts.get("port", "5432")).split(",")
    except ProgrammingError:
        # The driver's own message may repeat a part of the password.
        raise ValueError("not a URL that libpq can read (percent-encode what is special in the password)") from None
    for item in ports:
        port(item)
    if not parts.get("dbname"):
        raise ValueError("the database's name is missing at the end")
    return text


def broker_url(text: str) -> str:
    """A `redis://`, `rediss://` or `redis+socket://` URL."""
    scheme = _scheme(text, BROKER_SCHEMES)
    parts = urlsplit(text)
    if scheme == "redis+socket":
        if not parts.path.startswith("/") or parts.netloc:
            raise ValueError("the path of the socket must be absolute, with three slashes after redis+socket:")
        return text
    _check_host_and_port(text)
    if parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError(f"{parts.path.strip('/')!r} is not the number of a Redis database")
    return text


def email_url(text: str) -> str:
    """`console://` (mail goes to the log) or `smtp://`, `smtp+tls://`, `smtps://` with host, port and login."""
    if _scheme(text, EMAIL_SCHEMES) != "console":
        _check_host_and_port(text)
    return text


def _scheme(text: str, allowed: tuple[str, ...]) -> str:
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in allowed:
        raise ValueError(f"must begin with {' or '.join(f'{item}://' for item in allowed)}")
    return scheme


def _check_host_and_port(text: str) -> None:
    parts = urlsplit(text)
    try:
        number = parts.port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    if not parts.hostname or number == 0:
        raise ValueError("the host is missing" if not parts.hostname else "port 0 cannot be reached")


def _named(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, item in enumerate(text.split(), start=1):
        key, equals, value = item.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9_-]{1,32}", key):
            raise ValueError(f"entry {number} is not name=url with a name of lower-case letters, digits, - and _")
        if key in dict(found):
            raise ValueError(f"the name {key!r} is there twice")
        found.append((key, value))
    return found


def _items(text: str) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    if not items:
        raise ValueError("the list is empty")
    return items


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
