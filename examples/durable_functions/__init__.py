"""Example handlers, one file a pattern. Importing this package registers all of them."""

from examples.durable_functions import (
    booking_saga,
    data_pipeline,
    document_approval,
    flaky_payment,
    order_processing,
)

__all__ = ["booking_saga", "data_pipeline", "document_approval", "flaky_payment", "order_processing"]
