"""Audit entries that are written in the statement of their action: one round trip, and no transaction of more.

And the one reading that the ORM can't do fast.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.db import connection


class AuditFacts(NamedTuple):
    """What the entries of one statement have in common. `details` is JSON text."""

    user_id: int | None
    actor: str
    channel: str
    action: str
    reason: str = ""
    details: str = "{}"

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that `AUDIT` asks for."""
        return {f"audit_{name}": value for name, value in self._asdict().items()}


# To be completed with where id, time, execution and operation of each entry come from.
AUDIT: Final = """INSERT INTO durable_audit_entry (id, at, user_id, actor, channel, action, execution_id, operation_id,
                                 reason, details)
  SELECT {id}, {at}, %(audit_user_id)s::int, %(audit_actor)s, %(audit_channel)s, %(audit_action)s, {execution_id},
         {operation_id}, %(audit_reason)s, %(audit_details)s::jsonb
  FROM {source}"""


# Postgres has no loose index scan of its own: each step looks up the next name after the last one.
_ACTIONS: Final = """
WITH RECURSIVE a AS (
  (SELECT action FROM durable_audit_entry ORDER BY action LIMIT 1)
  UNION ALL
  SELECT (SELECT n.action FROM durable_audit_entry n WHERE n.action > a.action ORDER BY n.action LIMIT 1)
  FROM a WHERE a.action IS NOT NULL
)
SELECT action FROM a WHERE action IS NOT NULL
"""


def distinct_actions() -> list[str]:
    """Return the names of all actions in the audit, sorted."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIONS)
        return [action for (action,) in cursor.fetchall()]
