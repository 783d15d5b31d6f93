"""One of many values, sent as one array."""

from __future__ import annotations

from typing import Any

from django.db.models import Lookup


class AnyOf(Lookup):
    """A condition for `filter()`: `AnyOf(F("id"), ids)`, for numbers and UUIDs.

    An `IN` puts hundreds of values together one by one. Of these Postgres knows how many they are, which of a query
    inside it does not.
    """

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return the SQL and its parameters."""
        lhs, params = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.db_type(connection)
        return f"{lhs} = ANY(%s::{kind}[])", (*params, f"{{{','.join(map(str, self.rhs))}}}")
