"""`manage.py durable keys`: make, list, rotate and revoke API keys."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from durable_engine.management.durable_output import Described, table, to_json
from durable_engine.models import ApiKey
from durable_engine.services import api_keys
from durable_engine.services.actors import Actor
from durable_engine.services.api_keys import KeyPair
from durable_engine.services.exceptions import InvalidInput

EXAMPLES = """
examples:
  manage.py durable keys create billing
  manage.py durable keys create callbacks --scope callback --function 'orders-*' --expires 2027-01-01
  manage.py durable keys create ana-bot --scope approve --for ana
  manage.py durable keys rotate PDKEYABCDEFGHJKLMNPQ --grace-hours 48
"""


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands of `keys`."""
    parser.epilog = EXAMPLES + (parser.epilog or "")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=argparse.ArgumentParser)
    create = _verb(verbs, "create", "Make a key; its secret is shown once")
    create.add_argument("name", metavar="NAME", help="for people: who or what uses it")
    create.add_argument(
        "--scope",
        action="append",
        choices=api_keys.SCOPES,
        dest="scopes",
        help="may be repeated; default: all but approve and metrics",
    )
    create.add_argument(
        "--for", dest="acts_for", default="", metavar="USER", help="with the scope approve: who answers"
    )
    create.add_argument(
        "--function",
        action="append",
        default=[],
        dest="functions",
        metavar="NAME",
        help="may be repeated, may end in *",
    )
    create.add_argument("--expires", metavar="TIME", help="ISO 8601, such as 2027-01-01 or 2027-01-01T12:00+00:00")
    create.add_argument("--requests-per-second", type=int, metavar="N", help="in each web process")
    _verb(verbs, "list", "List the keys, without secrets")
    rotate = _verb(verbs, "rotate", "Give a key a new secret, shown once; the old one stays valid for a while")
    rotate.add_argument("key", metavar="ACCESS_KEY_ID")
    rotate.add_argument("--grace-hours", type=float, default=24.0, metavar="HOURS", help="default 24, 0 for none")
    revoke = _verb(verbs, "revoke", "Make a key useless, at once and for good")
    revoke.add_argument("key", metavar="ACCESS_KEY_ID")
    revoke.add_argument("--reason", default="", help="kept in the audit")


def run_keys(options: Mapping[str, Any], actor: Actor) -> str:
    """Do what was asked for and return what to print.

    Raises:
        DurableServiceError: as the services in `services.api_keys`.
    """
    verb, as_json = options["verb"], options["as_json"]
    if verb == "list":
        keys = api_keys.list_api_keys()
        return to_json({"keys": [_described(key) for key in keys]}) if as_json else _table(keys)
    if verb == "revoke":
        key = api_keys.revoke_api_key(options["key"], actor=actor, reason=options["reason"])
        return to_json(_described(key)) if as_json else f"Revoked: {key}"
    return _shown(_create(options, actor) if verb == "create" else _rotate(options, actor), as_json)


def _create(options: Mapping[str, Any], actor: Actor) -> KeyPair:
    return api_keys.create_api_key(
        options["name"],
        actor=actor,
        scopes=options["scopes"] or api_keys.DEFAULT_SCOPES,
        acts_for=options["acts_for"],
        functions=options["functions"],
        expires_at=_moment(options["expires"]),
        requests_per_second=options["requests_per_second"],
    )


def _rotate(options: Mapping[str, Any], actor: Actor) -> KeyPair:
    try:
        grace = timedelta(hours=options["grace_hours"])
    except (ValueError, OverflowError):
        raise InvalidInput("--grace-hours", f"{options['grace_hours']} is not a number of hours.") from None
    return api_keys.rotate_api_key(options["key"], actor=actor, grace=grace)


def _shown(pair: KeyPair, as_json: bool) -> str:
    if as_json:
        return to_json({**_described(pair.key), "secret_access_key": pair.secret})
    return (
        f"access key id      {pair.key.access_key_id}\nsecret access key  {pair.secret}\nThe secret is not shown again."
    )


def _described(key: ApiKey) -> Described:
    return {
        "access_key_id": key.access_key_id,
        "name": key.name,
        "scopes": key.scopes,
        "functions": key.functions,
        "requests_per_second": key.requests_per_second,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "rotated_at": key.rotated_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _table(keys: list[ApiKey]) -> str:
    if not keys:
        return "No API keys."
    head = ("ACCESS KEY ID", "NAME", "SCOPES", "FUNCTIONS", "LAST USED (UTC)", "STATE")
    lines = [
        (
            key.access_key_id,
            key.name,
            ",".join(key.scopes),
            ",".join(key.functions) or "all",
            _short(key.last_used_at, "never"),
            _state(key),
        )
        for key in keys
    ]
    return table([head, *lines])


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_short(key.revoked_at)}"
    return "valid" if key.expires_at is None else f"until {_short(key.expires_at)}"


def _short(moment: datetime | None, otherwise: str = "") -> str:
    return otherwise if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise InvalidInput("--expires", f"{text!r} is not a time.", "Example: 2027-01-01T12:00+00:00.") from None


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object instead of text")
    return parser
