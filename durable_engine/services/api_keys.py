"""Make, change, rotate and revoke API keys, and find the one a request names."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from durable_engine.models import ApiKey, AuditEntry
from durable_engine.services.actors import Actor
from durable_engine.services.audit import LABEL_LENGTH
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, InvalidInput
from durable_engine.services.key_secrets import SecretUnreadable, decrypt_secret, encrypt_secret
from durable_engine.services.validation import checked_reason, checked_text
from durable_engine.storage.api_keys import read_key
from durable_engine.storage.clock import ClockTimestamp

APPROVE: Final = "approve"
DEFAULT_SCOPES: Final = ("start", "read", "stop", "repair", "callback", "checkpoint")
METRICS: Final = "metrics"
SCOPES: Final = (*DEFAULT_SCOPES, APPROVE, METRICS)
ID_PREFIX: Final = "PDKEY"
# What can't be mistaken for another when it is read aloud.
ID_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
ID_LENGTH: Final = 20
SECRET_BYTES: Final = 30  # 40 characters
DEFAULT_GRACE: Final = timedelta(hours=24)
MAX_GRACE: Final = timedelta(days=30)
MAX_NAME: Final = 64
MAX_FUNCTIONS: Final = 100
MAX_RATE: Final = 100_000
FUNCTION_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{1,140}\*?|\*")
# Last use is kept to the minute: a key that is used all the time costs one write a minute, not one a request.
USED_EVERY: Final = timedelta(minutes=1)


class ApiKeyNotFound(DurableServiceError):
    """No API key has this access key id."""

    status_code = 404

    def __init__(self, access_key_id: str) -> None:
        super().__init__(f"There is no API key {access_key_id[:32]!r}.", field="access_key_id")
        self.access_key_id = access_key_id


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key and its secret: the only moment at which the secret is given out."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair({self.key})"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as a request needs it: what it may do, and every secret that is valid now, the newest first."""

    access_key_id: str
    name: str
    scopes: frozenset[str]
    user_id: int | None
    functions: tuple[str, ...]
    requests_per_second: int | None
    secrets: tuple[str, ...]
    is_revoked: bool
    is_expired: bool
    use_is_noted: bool

    def __repr__(self) -> str:
        return f"KnownKey({self.access_key_id})"

    def may_touch(self, function: str) -> bool:
        """Whether the key is for this function."""
        return not self.functions or any(
            function.startswith(pattern[:-1]) if pattern.endswith("*") else function == pattern
            for pattern in self.functions
        )


@transaction.atomic
def create_api_key(
    name: str,
    *,
    actor: Actor,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    functions: Iterable[str] = (),
    expires_at: datetime | None = None,
    requests_per_second: int | None = None,
    acts_for: str = "",
) -> KeyPair:
    """Make a key and return it with its secret, which can't be read again by anybody.

    Without `functions` it is for all of them; a name may end in `*`. Without `expires_at` it lives until it is revoked.
    `acts_for` is the user name of the person in whose name it answers approvals, which the scope approve needs.

    Raises:
        InvalidInput: an argument can't be accepted; `field` says which.
    """
    access_key_id, secret = _new_id(), secrets.token_urlsafe(SECRET_BYTES)
    wanted = _checked_scopes(scopes)
    key = ApiKey.objects.create(
        access_key_id=access_key_id,
        name=_checked_name(name),
        secret=encrypt_secret(access_key_id, secret),
        scopes=wanted,
        user_id=_checked_person(acts_for, wanted),
        functions=_checked_functions(functions),
        expires_at=_checked_expiry(expires_at),
        requests_per_second=_checked_rate(requests_per_second),
        created_by=actor.label[:LABEL_LENGTH],
    )
    key.refresh_from_db()
    _record(actor, "create_api_key", key)
    return KeyPair(key, secret)


@transaction.atomic
def rotate_api_key(access_key_id: str, *, actor: Actor, grace: timedelta = DEFAULT_GRACE) -> KeyPair:
    """Give a key a new secret; the one before it stays valid for `grace`, at most 30 days.

    Raises:
        ApiKeyNotFound: there is no such key.
        ActionRefused: it is revoked.
        InvalidInput: `grace` can't be accepted.
    """
    if not timedelta(0) <= grace <= MAX_GRACE:
        raise InvalidInput("grace", f"{grace} is not between nothing and {MAX_GRACE.days} days.")
    key = _locked(access_key_id)
    if key.revoked_at is not None:
        raise ActionRefused(f"The API key {key} is revoked.", fix="Make a new one.")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    _update(
        key,
        secret=encrypt_secret(key.access_key_id, secret),
        previous_secret=key.secret if grace else None,
        previous_expires_at=ClockTimestamp() + Value(grace) if grace else None,
        rotated_at=ClockTimestamp(),
    )
    _record(actor, "rotate_api_key", key, grace_seconds=grace.total_seconds())
    return KeyPair(key, secret)


@transaction.atomic
def revoke_api_key(access_key_id: str, *, actor: Actor, reason: str = "") -> ApiKey:
    """Make a key useless, at once and for good.

    Raises:
        ApiKeyNotFound: there is no such key.
        ActionRefused: it is revoked already.
        InvalidInput: the reason can't be accepted.
    """
    reason = checked_reason(reason)
    key = _locked(access_key_id)
    if key.revoked_at is not None:
        raise ActionRefused(f"The API key {key} is revoked already.")
    _update(key, revoked_at=ClockTimestamp(), previous_secret=None, previous_expires_at=None)
    _record(actor, "revoke_api_key", key, reason=reason)
    return key


def list_api_keys() -> list[ApiKey]:
    """Return every key, the newest first; their secrets are not read. Each says whether it `is_expired`."""
    return list(_without_secrets())


def api_key_with(access_key_id: str) -> ApiKey | None:
    """Return one key as `list_api_keys` does, or None."""
    return _without_secrets().filter(access_key_id=access_key_id.replace("\x00", "")).first()


def find_api_key(access_key_id: str) -> KnownKey | None:
    """Return the key a request names, revoked and expired ones too, or None. One query.

    Raises:
        SecretUnreadable: it was encrypted with a key that is no longer configured.
    """
    row = read_key(access_key_id, USED_EVERY.total_seconds())
    if row is None:
        return None
    stored = [row.secret] if row.previous_secret is None else [row.secret, row.previous_secret]
    return KnownKey(
        access_key_id=access_key_id,
        name=row.name,
        scopes=frozenset(json.loads(row.scopes)),
        user_id=row.user_id,
        functions=tuple(json.loads(row.functions)),
        requests_per_second=row.requests_per_second,
        secrets=tuple(decrypt_secret(access_key_id, bytes(each)) for each in stored),
        is_revoked=row.revoked_at is not None,
        is_expired=row.is_expired,
        use_is_noted=row.use_is_noted,
    )


def note_use(key: KnownKey) -> None:
    """Write down that a key was used, to the minute."""
    if not key.use_is_noted:
        ApiKey.objects.filter(access_key_id=key.access_key_id).update(last_used_at=ClockTimestamp())


@transaction.atomic
def ensure_api_key(name: str, *, actor: Actor) -> tuple[KeyPair | None, bool]:
    """Return the usable key of this name with its secret, and whether it is new: made, or given a new secret.

    For the process that hands it to its own user at each start. Makes one where there never was any; one that was
    revoked stays so, and there is none then.
    """
    newest = ApiKey.objects.select_for_update().filter(name=name).first()
    if newest is None:
        return create_api_key(name, actor=actor), True
    try:
        known = find_api_key(newest.access_key_id)
    except SecretUnreadable:
        return rotate_api_key(newest.access_key_id, actor=actor, grace=timedelta(0)), True
    if known is None or known.is_revoked or known.is_expired:
        return None, False
    return KeyPair(newest, known.secrets[0]), False


def _without_secrets() -> QuerySet[ApiKey]:
    is_expired = ExpressionWrapper(Q(expires_at__lte=ClockTimestamp()), output_field=BooleanField())
    return ApiKey.objects.defer("secret", "previous_secret").annotate(is_expired=Coalesce(is_expired, False))


def _locked(access_key_id: str) -> ApiKey:
    key = ApiKey.objects.select_for_update().filter(access_key_id=access_key_id.replace("\x00", "")).first()
    if key is None:
        raise ApiKeyNotFound(access_key_id)
    return key


def _update(key: ApiKey, **columns: object) -> None:
    ApiKey.objects.filter(pk=key.pk).update(**columns)
    key.refresh_from_db()


def _new_id() -> str:
    letters = (secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH - len(ID_PREFIX)))
    return ID_PREFIX + "".join(letters)


def _record(actor: Actor, action: str, key: ApiKey, *, reason: str = "", **details: object) -> None:
    AuditEntry.objects.create(
        user_id=actor.user_id,
        actor=actor.label[:LABEL_LENGTH],
        channel=actor.channel,
        action=action,
        reason=reason,
        details={
            "access_key_id": key.access_key_id,
            "name": key.name,
            "scopes": key.scopes,
            **({} if key.user is None else {"acts_for": key.user.get_username()}),
            **details,
        },
    )


def _checked_name(name: str) -> str:
    text = checked_text(name, field="name", limit=4 * MAX_NAME).strip()
    if not text or len(text) > MAX_NAME or not text.isprintable():
        raise InvalidInput(
            "name", f"{name[:80]!r} is no name for a key.", f"Use 1 to {MAX_NAME} characters on one line."
        )
    return text


def _checked_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = set(scopes)
    if not wanted or not wanted <= set(SCOPES):
        wrong = ", ".join(sorted(map(repr, wanted - set(SCOPES)))) or "none"
        raise InvalidInput("scopes", f"{wrong}: not what a key can be for.", f"Choose of {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in wanted]


def _checked_person(username: str, scopes: list[str]) -> int | None:
    if APPROVE not in scopes:
        if username:
            raise InvalidInput("acts_for", "only a key with the scope approve acts for somebody.", "Add that scope.")
        return None
    if not username:
        raise InvalidInput("acts_for", "is missing: approvals are answered in somebody's name.", "Name a user.")
    users = get_user_model()._default_manager.filter(is_active=True)
    found: int | None = (
        users.filter(**{get_user_model().USERNAME_FIELD: username.replace("\x00", "")})
        .values_list("pk", flat=True)
        .first()
    )
    if found is None:
        raise InvalidInput("acts_for", f"there is no active user {username[:80]!r}.")
    return found


def _checked_functions(functions: Iterable[str]) -> list[str]:
    wanted = sorted(set(functions))
    for each in wanted:
        if not FUNCTION_PATTERN.fullmatch(each):
            fix = "Give names, or beginnings of names that end in *."
            raise InvalidInput("functions", f"{str(each)[:80]!r} is no function's name.", fix)
    if len(wanted) > MAX_FUNCTIONS:
        raise InvalidInput(
            "functions", f"{len(wanted)} are too many; at most {MAX_FUNCTIONS}.", "Use beginnings with *."
        )
    return wanted


def _checked_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= timezone.now()):
        raise InvalidInput("expires_at", f"{expires_at} is not a time in the future, with its zone.")
    return expires_at


def _checked_rate(rate: int | None) -> int | None:
    if rate is not None and not 1 <= rate <= MAX_RATE:
        raise InvalidInput("requests_per_second", f"{rate} is not between 1 and {MAX_RATE:,}.")
    return rate
