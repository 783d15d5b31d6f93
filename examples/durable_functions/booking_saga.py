"""A saga: when one booking fails, those made before it are cancelled in reverse order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

from durable_engine import (
    DurableContext,
    RetryPresets,
    RetryStrategyConfig,
    StepConfig,
    StepContext,
    StepError,
    create_retry_strategy,
    durable_execution,
    durable_step,
)

BOOKINGS = ("flight", "hotel", "car")


class NothingAvailable(Exception):
    """The offer is sold out; trying again does not help."""


# A provider that cannot be reached is tried again; a sold-out offer is not.
WHILE_UNREACHABLE = StepConfig(
    retry_strategy=create_retry_strategy(RetryStrategyConfig(retryable_error_types=[ConnectionError]))
)
# A booking that has to be undone must be undone: 10 attempts over some minutes, for any error.
UNTIL_DONE = StepConfig(retry_strategy=RetryPresets.critical())


@dataclass(frozen=True)
class TripInput:
    """What the start form asks for: which booking fails, so that the ones before it are cancelled."""

    trip: str = "T-2001"
    failing_booking: Literal["none", "flight", "hotel", "car"] = "car"


@durable_execution(name="booking-saga", input=TripInput)
def booking_saga(trip: TripInput, context: DurableContext) -> dict[str, object]:
    """Book flight, hotel and car; when one of them fails, cancel the others, last one first.

    The compensations are steps as well: after a crash among them the saga goes on at the one that was running, and
    none is forgotten.
    """
    booked: list[tuple[str, str]] = []
    try:
        with context.saga(UNTIL_DONE) as saga:
            for kind in BOOKINGS:
                # Undone only once it has succeeded: "nothing available" means that nothing was booked. Where an error
                # leaves that open, `saga.add` the cancellation before, by the idempotency key of the booking.
                reference = saga.step(
                    book(kind, trip),
                    cancellation_of(kind),
                    name=f"book {kind}",
                    config=WHILE_UNREACHABLE,
                    compensation_name=f"cancel {kind}",
                )
                booked.append((kind, reference))
    except StepError as error:
        context.logger.warning("trip %s: %s", trip.trip, error)
        return {"trip": trip.trip, "outcome": "cancelled", "reason": str(error), "cancelled": [*reversed(booked)]}
    return {"trip": trip.trip, "outcome": "booked", "bookings": booked}


@durable_step
def book(step: StepContext, kind: str, trip: TripInput) -> str:
    """Stand in for a booking system; returns its reference, the same when this attempt has to run again."""
    if kind == trip.failing_booking:
        raise NothingAvailable(f"no {kind} available for trip {trip.trip}")
    return f"{kind}-{uuid5(NAMESPACE_OID, step.idempotency_key).hex[:8]}"


def cancellation_of(kind: str) -> Callable[[StepContext, str], None]:
    """Stand in for the cancellation. Cancelling twice must be harmless, because a body can run twice."""

    def cancel(step: StepContext, reference: str) -> None:
        step.logger.info("%s booking %s cancelled", kind, reference)

    return cancel
