"""Each operation with its attempts."""

from typing import Any

from dashboard.outline_params import OutlineParams
from dashboard.outline_view import view_outline
from dashboard.seen import Seen
from dashboard.steps import step_rows

LINES = 100


def steps_tab(seen: Seen) -> dict[str, Any]:
    """A window of operations."""
    view = view_outline(seen, OutlineParams.of_request(seen.request.GET), LINES)
    rows = step_rows(seen.execution, view, may_operate=seen.may("operate_execution"))
    return {"outline": view, "operation_rows": list(rows)}
