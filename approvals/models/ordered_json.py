"""JSON that keeps the order of its keys: what a person reads and fills in comes in the order its author wrote."""

from __future__ import annotations

import json
from typing import Any

from django.db import models


class OrderedJSONField(models.TextField):  # type: ignore[type-arg]  # values of any JSON type
    """A JSON value as text: `jsonb` sorts the keys. Not to be searched; None is stored as NULL."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """Decode what the database gave."""
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        """Return the value as it is: it is never entered as text."""
        return value

    def get_prep_value(self, value: Any) -> str | None:
        """Encode what is stored."""
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def value_to_string(self, obj: models.Model) -> str:
        """Return the value for a fixture."""
        return json.dumps(self.value_from_object(obj), ensure_ascii=False)
