"""Names of the wire model that handlers and their tests use."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NoReturn, Protocol

__all__ = ["DurableServiceClient", "LambdaClient", "OperationAction"]


class OperationAction(StrEnum):
    """What an update does to an operation."""

    START = "START"
    SUCCEED = "SUCCEED"
    FAIL = "FAIL"
    RETRY = "RETRY"
    CANCEL = "CANCEL"


class DurableServiceClient(Protocol):
    """What talks to the service of AWS. Here for annotations: the engine is called directly."""


class LambdaClient:
    """The client of the service of AWS. Here for annotations: none can be made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        _refuse()

    @classmethod
    def initialize_client(cls) -> NoReturn:
        """Refuse, as the constructor does."""
        _refuse()


def _refuse() -> NoReturn:
    raise NotImplementedError(
        "Perdure has no LambdaClient: handlers record directly, without a service in between. To call the service API, "
        "use boto3.client('lambda', endpoint_url=…); see docs/service-api.md"
    )
