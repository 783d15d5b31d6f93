"""`parallel`: several functions at a time, one a branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from durable_engine.core.operations.base import Scope, check_name
from durable_engine.core.operations.batch import BatchOperation, branch_id, check_achievable
from durable_engine.core.operations.branch import Branch
from durable_engine.sdk.config import ParallelBranch, ParallelConfig
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.types import OperationSubType

Function = Callable[[DurableContext], Any]


def run_parallel(scope: Scope, functions: Sequence[Function], name: str | None, config: ParallelConfig) -> Any:
    """Return the result of the batch of these functions."""
    check_achievable(config, len(functions))
    names = [_name_of(function, index) for index, function in enumerate(functions)]
    state = scope.begin("CONTEXT", OperationSubType.PARALLEL, name)
    branches = [
        Branch(index, branch_id(state.id, index), branch_name, function)
        for index, (branch_name, function) in enumerate(zip(names, functions, strict=True))
    ]
    return BatchOperation(scope, state, branches, config).result()


def _name_of(function: Function, index: int) -> str:
    if isinstance(function, ParallelBranch) and function.name is not None:
        check_name(function.name)
        return function.name
    return f"parallel-branch-{index}"
