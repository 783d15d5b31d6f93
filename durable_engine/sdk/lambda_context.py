"""What stands in for the Lambda context of AWS, for functions that were written for Lambda and ask it things."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_engine.sdk.registry import DurableHandler

logger = logging.getLogger("perdure.lambda")


@dataclass(frozen=True)
class LambdaContext:
    """The attributes and methods of a Lambda context. `deadline` is a reading of `clock`, which is monotonic.

    Memory, log group and log stream are texts that fit their place: there is no such limit and no such log here.
    """

    aws_request_id: str
    function_name: str
    function_version: str
    invoked_function_arn: str
    deadline: float
    tenant_id: str | None = None
    client_context: object = None
    identity: object = None
    memory_limit_in_mb: str = "128"
    log_stream_name: str = "perdure"
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @property
    def log_group_name(self) -> str:
        """Named after the function, as in AWS."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """How long this invocation may still take, at least 0."""
        return max(0, int((self.deadline - self.clock()) * 1000))

    def log(self, msg: object) -> None:
        """Log a line."""
        logger.info("%s", msg)


def stand_in(
    handler: DurableHandler,
    execution_arn: str,
    tenant_id: str | None,
    request_id: str,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> LambdaContext:
    """Return what a function is given that was written for Lambda, for one invocation of a handler."""
    arn, is_arn, _ = execution_arn.partition(":$LATEST/durable-execution/")
    return LambdaContext(
        aws_request_id=request_id,
        function_name=handler.name,
        function_version="$LATEST",
        invoked_function_arn=arn if is_arn else f"arn:aws:lambda:us-east-1:000000000000:function:{handler.name}",
        deadline=deadline,
        tenant_id=tenant_id,
        clock=clock,
    )
