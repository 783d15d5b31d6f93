"""What the pictures show: the examples at work, and a day behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from durable_engine.client import start_execution
from durable_engine.models import Execution, FailureGroup, Rollup
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.schedules import ScheduleSpec, create_schedule
from tests.processes import wait_for
from tests.seeds import Story, order_that_succeeded

PATIENCE = 120.0


@dataclass(frozen=True)
class Scene:
    """What there is to look at."""

    failed: UUID
    pipeline: UUID
    group: UUID


def play() -> Scene:
    """Start the examples, wait until they have come to where the pictures want them."""
    _the_day_before()
    begun = timezone.now()
    for number in range(1001, 1007):
        start_execution("order-processing", {"order_id": f"A-{number}"}, name=f"order-A-{number}", tags={"team": "web"})
    pipeline = start_execution("data-pipeline", {"seconds_per_batch": 0.6}, name="import-2026-11")
    succeeding = {"order_id": "B-0", "amount_cents": 900, "failing_attempts": 1}
    start_execution("flaky-payment", succeeding, name="payment-B-0")
    for number in range(1, 4):
        payment = {"order_id": f"B-{number}", "amount_cents": 2500, "failing_attempts": 9}
        start_execution("flaky-payment", payment, name=f"payment-B-{number}")
    for title in ("Contract with the carrier", "Price list 2027"):
        document = {"title": title, "author": "author@example.com", "timeout_seconds": 86_400}
        start_execution("document-approval", document)
    spec = ScheduleSpec(function="order-processing", cron="0 7 * * MON-FRI", timezone="Europe/Berlin")
    create_schedule("morning-orders", spec, actor=PYTHON_CODE)
    failed = Execution.objects.filter(function="flaky-payment", status="FAILED", created_at__gte=begun)
    wait_for(lambda: failed.count() == 3, "the payments to fail", PATIENCE)
    wait_for(lambda: FailureGroup.objects.filter(function="flaky-payment").exists(), "their group", PATIENCE)
    wait_for(lambda: Execution.objects.filter(pk=pipeline.id, status="SUCCEEDED").exists(), "the pipeline", PATIENCE)
    group = FailureGroup.objects.get(function="flaky-payment")
    return Scene(failed.order_by("created_at")[1].pk, pipeline.id, group.pk)


def _the_day_before() -> None:
    """What ran in the last day, and its sums, from which charts and rates are drawn."""
    now = timezone.now().replace(second=0, microsecond=0)
    for quarter in range(1, 97):
        # Busier by day than by night.
        at = now - timedelta(minutes=15 * quarter)
        orders = 20 + 5 * (12 - abs(12 - at.hour)) + quarter * 7 % 11
        Rollup.objects.create(**_sums("order-processing", at, orders, failed=quarter % 9 == 0, bin=99))
        Rollup.objects.create(**_sums("flaky-payment", at, 12, failed=2 + quarter % 3, bin=84))
    for number in range(1, 25):
        order_that_succeeded(
            name=f"order-A-{900 + number}",
            began=1800.0 * number,
            tags={"team": "web"},
            input_text=json.dumps({"order_id": f"A-{900 + number}"}),
        )
    Story("data-pipeline", began=5400, name="import-2026-10").step("1", "read", 1, 40).close("SUCCEEDED", 61)


def _sums(function: str, at: datetime, count: int, *, failed: int, bin: int) -> dict[str, Any]:
    """A minute of a function; `bin` is where most durations lie."""
    durations = {str(bin + step): max(count // (2 + abs(step) * 2), 1) for step in range(-2, 4)}
    succeeded = {"succeeded": count - failed, "failed": failed, "durations": durations}
    return {"width_seconds": 60, "starts_at": at, "function": function, "version": 1, "started": count, **succeeded}
