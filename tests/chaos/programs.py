"""Random programs for a handler, and what each must come to whatever happens to the processes that run it.

A program is JSON: `{"ops": [...], "end": "return" | "raise"}`. An operation has a kind `k` and a name `n` that no other
operation of the program has. Every failure inside is caught and becomes a value, so all operations are reached.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Op = dict[str, Any]
Program = dict[str, Any]

# More than any run interrupts one step.
ENOUGH_ATTEMPTS = 60
DEEPEST = 3
# Attempts of a step that fails at every one of them.
DOOMED = 99

STEP_FAILED = {"error": "step"}
INVOKE_FAILED = {"error": "invoke"}
CHILD_FAILED = {"error": "child"}
CALLBACK_FAILED = {"error": "callback"}
CALLBACK_TIMED_OUT = {"error": "timeout"}


@dataclass(frozen=True)
class ExpectedOperation:
    """An operation that a completed history must hold, and no other."""

    id: str
    parent_id: str | None
    subtype: str
    name: str
    op: Op


class Generator:
    """Makes programs from one seed; the n-th is the same in every run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def program(self, number: int) -> Program:
        """Return the program of this number."""
        return {"name": f"p{number}", **_Maker(random.Random(f"{self._seed}/{number}")).program()}

    def frozen(self, number: int) -> Program:
        """Return a program with a step in whose middle its process is frozen."""
        maker = _Maker(random.Random(f"{self._seed}/frozen/{number}"))
        ops = [maker.step(mark="freeze"), maker.step()]
        if number % 3:
            # When the process goes on, its successor has written as much under its lease as it has itself: only the
            # fence tells them apart.
            ops[0]["at_most_once"] = True
        else:
            ops.insert(0, maker.step())
        return {"name": f"frozen{number}", "ops": ops, "end": "return"}

    def held(self, number: int, *, wait: bool) -> Program:
        """Return a program with a callback that is completed while its process is held at a failpoint."""
        maker = _Maker(random.Random(f"{self._seed}/held/{number}"))
        callback = maker.callback(DEEPEST)
        while not callback["plan"]:
            callback = maker.callback(DEEPEST)
        callback["ops"] = [{**maker.step(ms=60), "at_most_once": False, "mark": "held", "of": callback["n"]}]
        if wait:
            # The failpoint comes after the wait, and nobody else is told when.
            callback["ops"] += [{"k": "wait", "n": maker.name("wait"), "seconds": 0.2}, maker.step()]
        return {"name": f"held{number}", "ops": [callback, maker.step()], "end": "return"}

    def leaving(self, number: int) -> Program:
        """Return a program that is always between two short steps, so that an orderly stop finds it at work."""
        maker = _Maker(random.Random(f"{self._seed}/leaving/{number}"))
        return {"name": f"leaving{number}", "ops": [maker.step(ms=40) for _ in range(60)], "end": "return"}


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def program(self) -> Program:
        ops = self.ops(self.rng.randint(2, 5), depth=0)
        chance = self.rng.random()
        program: Program = {"ops": ops, "end": "raise" if chance < 0.05 else "return"}
        if 0.05 < chance < 0.2:
            # Stopped about when its last step ends and the execution closes.
            ops.append(self.step(mark="stop", ms=self.rng.randint(4, 12)))
            program["stop"] = {"offset_ms": self.rng.uniform(-6, 9)}
        elif chance > 0.93:
            program["stop"] = {"delay_ms": self.rng.uniform(0, 900)}
        return program

    def ops(self, count: int, depth: int) -> list[Op]:
        return [self.op(depth) for _ in range(count)]

    def op(self, depth: int) -> Op:
        kinds = {"step": 40, "flaky": 9, "doomed": 4, "wait": 11, "callback": 16, "wait_for_callback": 10}
        if depth < DEEPEST:
            kinds |= {"child": 8, "parallel": 8}
        if depth == 0:
            kinds["invoke"] = 5
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "step":
            return self.step()
        if kind == "flaky":
            return self.step(fails=self.rng.randint(1, 2))
        if kind == "doomed":
            return self.step(fails=DOOMED, attempts=self.rng.randint(1, 2), counted=False)
        if kind == "wait":
            seconds = self.rng.choice((0.05, 0.1, 0.2, 0.5, 1.0, 3.0))
            return {"k": "wait", "n": self.name("wait"), "seconds": seconds}
        if kind == "callback":
            return self.callback(depth)
        if kind == "wait_for_callback":
            return self.answered({"k": kind, "n": self.name("ask"), "ms": self.rng.randint(2, 10)})
        return self.composed(kind, depth)

    def composed(self, kind: str, depth: int) -> Op:
        if kind == "parallel":
            return self.parallel(depth)
        inner = self.ops(self.rng.randint(1, 3), depth + 1)
        fails = self.rng.random() < 0.15
        if kind == "child":
            return {"k": kind, "n": self.name(kind), "ops": inner, "fails": fails}
        return {"k": kind, "n": self.name(kind), "program": {"ops": inner, "end": "raise" if fails else "return"}}

    def parallel(self, depth: int) -> Op:
        branches = [
            {"k": "branch", "n": self.name("branch"), "ops": self.ops(self.rng.randint(1, 2), depth + 1)}
            for _ in range(self.rng.randint(2, 4))
        ]
        most = self.rng.choice((None, None, 1, 2))
        return {"k": "parallel", "n": self.name("parallel"), "ops": branches, "max_concurrency": most}

    def step(
        self,
        *,
        fails: int = 0,
        attempts: int = ENOUGH_ATTEMPTS,
        counted: bool | None = None,
        mark: str = "",
        ms: float | None = None,
    ) -> Op:
        return {
            "k": "step",
            "n": self.name("step"),
            "at_most_once": self.rng.random() < 0.3,
            "counted": self.rng.random() < 0.5 if counted is None else counted,
            "fails": fails,
            "attempts": attempts,
            "ms": self.rng.choice((0, 0, 0, 1, 4, 15, 30)) if ms is None else ms,
            "delay": self.rng.choice((0.05, 0.1, 0.3)),
            "size": self.rng.choice((0, 0, 0, 0, 2000)),
            "mark": mark,
        }

    def callback(self, depth: int) -> Op:
        inner = self.ops(self.rng.randint(0, 1), depth + 1) if depth < DEEPEST and self.rng.random() < 0.3 else []
        # The last step tells the completers when it will end: the suspend follows within milliseconds.
        name = self.name("callback")
        inner.append({**self.step(mark="callback", ms=self.rng.randint(4, 12)), "of": name})
        return self.answered({"k": "callback", "n": name, "ops": inner})

    def answered(self, op: Op) -> Op:
        """Add who completes the callback, and when: `offset_ms` from the end of the marked body."""
        if self.rng.random() < 0.08:
            return {**op, "timeout": self.rng.choice((0.2, 0.6)), "plan": []}
        plan = []
        base = self.rng.uniform(-5, 5)
        for number in range(self.rng.choice((1, 1, 2, 3))):
            together = self.rng.random() < 0.6
            plan.append(
                {
                    "offset_ms": base if together else self.rng.uniform(-5, 5),
                    "succeeds": self.rng.random() < 0.75,
                    "value": f"{op['n']} answered by {number}",
                }
            )
        return {**op, "timeout": 0, "plan": plan}

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"


def walk(ops: list[Op]) -> Iterator[Op]:
    """Yield every operation of a program, in the order in which they begin."""
    for op in ops:
        yield op
        yield from walk(op.get("ops", []))


def invoked(program: Program) -> Iterator[Program]:
    """Yield the programs that a program has others run, named as they name themselves."""
    for op in walk(program["ops"]):
        if op["k"] == "invoke":
            yield {"name": f"{program['name']}/{op['n']}", **op["program"]}


def lanes(ops: list[Op], lane: str = "") -> Iterator[tuple[Op, str]]:
    """Yield every operation, as `walk` does, with the branch whose order it keeps."""
    for op in ops:
        yield op, lane
        yield from lanes(op.get("ops", []), op["n"] if op["k"] == "branch" else lane)


def expected_operations(ops: list[Op], parent_id: str | None = None, prefix: str = "") -> list[ExpectedOperation]:
    """Return the operations of a completed history, with the ids they get."""
    found: list[ExpectedOperation] = []
    number = 0

    def add(items: list[Op]) -> None:
        nonlocal number
        for op in items:
            number += 1
            id_ = f"{prefix}{number}"
            found.append(ExpectedOperation(id_, parent_id, _SUBTYPES[op["k"]], op["n"], op))
            if op["k"] == "callback":  # its operations are those of the same context
                add(op["ops"])
            elif op["k"] in {"child", "parallel", "branch"}:
                found.extend(expected_operations(op["ops"], id_, f"{id_}-"))
            elif op["k"] == "wait_for_callback":
                create, submit = f"{op['n']} create callback id", f"{op['n']} submitter"
                found.append(ExpectedOperation(f"{id_}-1", id_, "Callback", create, op))
                found.append(ExpectedOperation(f"{id_}-2", id_, "Step", submit, op))

    add(ops)
    return found


_SUBTYPES = {
    "step": "Step",
    "wait": "Wait",
    "callback": "Callback",
    "wait_for_callback": "WaitForCallback",
    "child": "RunInChildContext",
    "parallel": "Parallel",
    "branch": "ParallelBranch",
    "invoke": "ChainedInvoke",
}


def callback_operation(program: Program, name: str) -> str:
    """Return the id of the callback that the operation of this name opens."""
    for expected in expected_operations(program["ops"]):
        if expected.op["n"] == name and expected.subtype == "Callback":
            return expected.id
    raise LookupError(f"{program['name']} has no callback {name}")


def step_value(op: Op) -> str:
    """The value that a step returns when it does not fail for good."""
    return f"{op['n']} done" + "x" * int(op["size"])


def expected_values(ops: list[Op], outcomes: Mapping[str, tuple[str, str | None]]) -> list[Any]:
    """The value of each operation, given the outcome (status, text) of each callback by the operation's name."""
    return [_value(op, outcomes) for op in ops]


def _value(op: Op, outcomes: Mapping[str, tuple[str, str | None]]) -> Any:
    kind = op["k"]
    if kind == "step":
        return STEP_FAILED if op["fails"] >= op["attempts"] else step_value(op)
    if kind == "wait":
        return None
    if kind == "invoke":
        program = op["program"]
        return INVOKE_FAILED if program["end"] == "raise" else expected_values(program["ops"], outcomes)
    inner = expected_values(op.get("ops", []), outcomes)
    if kind in {"parallel", "branch"}:
        return inner
    if kind == "child":
        return CHILD_FAILED if op["fails"] else inner
    status, text = outcomes[op["n"]]
    answer: Any = {"SUCCEEDED": text, "TIMED_OUT": CALLBACK_TIMED_OUT}.get(status, CALLBACK_FAILED)
    return [inner, answer] if kind == "callback" else answer
