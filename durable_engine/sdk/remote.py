"""Functions that run in a process of their own, in any language, and are invoked there over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import urlsplit

from durable_engine.sdk import registry
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.execution import checked_count, checked_name, checked_queue, optional_duration
from durable_engine.sdk.registry import DurableHandler

INVOCATIONS = "/2015-03-31/functions/"
LONGEST_URL = 500


@dataclass(frozen=True, eq=False)
class RemoteHandler(DurableHandler):
    """A handler that runs elsewhere: `url` is where it is invoked, in the protocol of Lambda.

    `is_stored`: it comes from a row that people made, and goes with it.
    """

    url: str = ""
    is_stored: bool = False


def register_remote(
    name: str,
    url: str,
    *,
    version: int = 1,
    queue: str = "durable",
    invocation_timeout: Duration | timedelta | None = None,
    execution_timeout: Duration | timedelta | None = None,
    is_stored: bool = False,
) -> RemoteHandler:
    """Register a function that an SDK of AWS runs at a base URL, such as `http://10.0.0.7:9000`.

    It is invoked with a POST to `{url}/2015-03-31/functions/{name}/invocations`; a URL that has such a path is taken as
    it is. `invocation_timeout` is 15 minutes unless given.

    Raises:
        ValidationError: an argument can't be used, or the name and version are taken.
    """
    url = checked_url(url)
    handler = RemoteHandler(
        name=checked_name(name),
        version=checked_count("version", version),
        func=_runs_elsewhere,
        execution_timeout=optional_duration("execution_timeout", execution_timeout),
        invocation_timeout=optional_duration("invocation_timeout", invocation_timeout) or Duration.from_minutes(15),
        queue=checked_queue(queue),
        description=f"Runs at {url}",
        url=url if INVOCATIONS in url else f"{url.rstrip('/')}{INVOCATIONS}{name}/invocations",
        is_stored=is_stored,
    )
    registry.register(handler)
    return handler


def checked_url(url: str) -> str:
    """Return the base URL of a remote function.

    Raises:
        ValidationError: it is no http or https URL, has a login, a query or a fragment, or leads to a link-local
            address, where cloud machines give out their credentials.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:
        usable = False
    if not usable or len(url) > LONGEST_URL or " " in url:
        raise ValidationError(f"url: {url[:LONGEST_URL]!r} is not a http or https URL, such as http://10.0.0.7:9000")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # Not repeated: it may hold a password.
        raise ValidationError("url: must be without login, query and fragment")
    if is_link_local(parts.hostname or ""):
        raise ValidationError(f"url: {parts.hostname} is a link-local address")
    return url


def is_link_local(address: str) -> bool:
    """Whether this is an IP address, not a name, that is only of this link."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_link_local


def _runs_elsewhere(event: Any, context: Any) -> NoReturn:
    raise NotImplementedError("a remote function can't be called here; start an execution of it")
