"""A static look at handlers: calls that would answer differently on a replay, or act again.

A handler's body runs again at each invocation, from its first line; so do the bodies of child contexts and branches.
What such code asks of the world outside (time, chance, network, files) belongs into a step, whose answer is recorded.
What runs as a step is not looked at. The look is at source and at what its names stand for; nothing is called. It
cannot see everything (a call through an object's method is unknown); what it reports is almost always a mistake. A
comment `# replay: ok` on the line silences it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Final

SILENCE: Final = "# replay: ok"

# What the world answers, by the module and name that define it; a name ending in a dot stands for all that follows.
_TIME: Final = "use the time a step returns"
_CHANCE: Final = "let a step draw it"
_OUTSIDE: Final = "put it into a step"
_SUSPECTS: Final = {
    "time.sleep": "use context.wait, which costs no process",
    "time.": _TIME,
    "datetime.datetime.now": _TIME,
    "datetime.datetime.utcnow": _TIME,
    "datetime.datetime.today": _TIME,
    "datetime.date.today": _TIME,
    "django.utils.timezone.now": _TIME,
    "django.utils.timezone.localdate": _TIME,
    "django.utils.timezone.localtime": _TIME,
    "random.": _CHANCE,
    "secrets.": _CHANCE,
    "uuid.uuid1": _CHANCE,
    "uuid.uuid4": _CHANCE,
    "uuid.uuid7": _CHANCE,
    "uuid_utils.": _CHANCE,
    "posix.urandom": _CHANCE,
    "posix.system": _OUTSIDE,
    "io.open": _OUTSIDE,
    "socket.": _OUTSIDE,
    "subprocess.": _OUTSIDE,
    "urllib.request.": _OUTSIDE,
    "http.client.": _OUTSIDE,
    "smtplib.": _OUTSIDE,
    "requests.": _OUTSIDE,
    "httpx.": _OUTSIDE,
    "boto3.": _OUTSIDE,
    "django.core.mail.": _OUTSIDE,
    "threading.Thread": "use context.parallel or context.map",
    "concurrent.futures.": "use context.parallel or context.map",
    "asyncio.run": _OUTSIDE,
}
_HARMLESS: Final = frozenset({"time.strftime", "time.strptime", "time.gmtime", "time.mktime", "random.Random"})

# Context methods whose function argument runs as recorded work, and those whose function is replayed like the handler.
_RECORDED: Final = frozenset({"step", "transaction", "wait_for_callback", "wait_for_condition"})
_REPLAYED: Final = frozenset({"run_in_child_context", "parallel", "map", "with_retry"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One call to look at. `code` is `determinism` or `callback-gap`."""

    code: str
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def look_at(handler: Callable[..., Any]) -> list[Finding]:
    """Return what to look at in a handler and in the plain functions of its module that it calls, by line."""
    found: list[Finding] = []
    seen: set[FunctionType] = set()
    waiting = [inspect.unwrap(handler)]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        look = _Look(function)
        found += look.findings()
        waiting += look.called
    return sorted(found, key=lambda each: (each.file, each.line))


class _Look:
    """One function: its replayed statements, and the functions of its own module that they call."""

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.file = function.__code__.co_filename
        self.called: list[Any] = []
        self.names = _names(function)

    def findings(self) -> Iterator[Finding]:
        tree = _parsed(self.function)
        if tree is None:
            return
        for node in _replayed(tree):
            if isinstance(node, ast.Call):
                yield from self._of_call(node)
        yield from self._of_callbacks(tree)

    def _of_call(self, node: ast.Call) -> Iterator[Finding]:
        target = self._resolved(node.func)
        if target is None:
            return
        if isinstance(target, FunctionType) and target.__module__ == self.function.__module__:
            self.called.append(target)
            return
        name = _full_name(target)
        advice = None if name in _HARMLESS else _advice(name)
        if advice is not None and not self._is_silenced(node.lineno):
            said = ast.unparse(node.func)
            yield Finding(
                "determinism", self.file, node.lineno, f"{said}() answers anew at each replay of the handler; {advice}"
            )

    def _of_callbacks(self, tree: ast.FunctionDef) -> Iterator[Finding]:
        """Statements between opening a callback and asking for its result run again until the answer is there."""
        contexts = {argument.arg for argument in tree.args.args}
        for body in _bodies(tree):
            for index, statement in enumerate(body):
                name = _opened_callback(statement)
                if name is not None:
                    yield from self._in_gap(body[index + 1 :], name, contexts)

    def _in_gap(self, statements: Sequence[ast.stmt], name: str, contexts: set[str]) -> Iterator[Finding]:
        for statement in statements:
            if _asks_for_result(statement, name):
                return
            if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
                continue
            call = statement.value
            if _root(call.func) in contexts or self._is_silenced(statement.lineno):
                continue
            said = ast.unparse(call.func)
            yield Finding(
                "callback-gap",
                self.file,
                statement.lineno,
                f"{said}() runs again at each replay until {name}.result() has its answer; "
                "put it into a step, or use context.wait_for_callback",
            )

    def _resolved(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._resolved(node.value)
            # Only modules and classes: reading an attribute of anything else may run code.
            if isinstance(owner, (ModuleType, type)):
                return inspect.getattr_static(owner, node.attr, None)
        return None

    def _is_silenced(self, line: int) -> bool:
        return SILENCE in linecache.getline(self.file, line)


def _parsed(function: FunctionType) -> ast.FunctionDef | None:
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # made at run time, or a lambda in the middle of something
        return None
    ast.increment_lineno(tree, first - 1)
    node = tree.body[0]
    return node if isinstance(node, ast.FunctionDef) else None


def _names(function: FunctionType) -> dict[str, Any]:
    """What the free names of a function stand for. Its parameters and local names hide those of its module."""
    local = set(function.__code__.co_varnames) | set(function.__code__.co_cellvars)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = {}
    for name, cell in cells:
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    known = {**vars(builtins), **function.__globals__, **closure}
    return {name: value for name, value in known.items() if name not in local}


def _replayed(tree: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes that run at each replay: not those of nested functions, unless a context replays them."""
    nested = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node is not tree}
    replayed: set[str] = set()
    queue: list[ast.AST] = list(tree.body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Lambda):
            continue
        yield node
        if isinstance(node, ast.Call):
            for function in _run_by(node):
                if isinstance(function, ast.Lambda):
                    queue.append(function.body)
                elif isinstance(function, ast.Name) and function.id in nested and function.id not in replayed:
                    replayed.add(function.id)
                    queue += nested[function.id].body
        queue += ast.iter_child_nodes(node)


def _run_by(call: ast.Call) -> Iterator[ast.expr]:
    """Yield the functions that a call runs as replayed code: itself, or what it hands to a context."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if isinstance(call.func, ast.Name):
        yield call.func
        method = call.func.id
    if method not in _REPLAYED:
        return
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(argument, (ast.List, ast.Tuple)):
            yield from argument.elts
        yield argument


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield body


def _opened_callback(statement: ast.stmt) -> str | None:
    """The name that a statement gives a callback it opens."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    function, target = statement.value.func, statement.targets[0]
    opens = isinstance(function, ast.Attribute) and function.attr == "create_callback"
    return target.id if opens and isinstance(target, ast.Name) else None


def _asks_for_result(statement: ast.stmt, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "result" and _root(node) == name
        for node in ast.walk(statement)
    )


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _full_name(target: Any) -> str:
    target = getattr(target, "__func__", target)  # a class method found without calling anything
    owner = getattr(target, "__objclass__", None)  # a method written in C knows its class
    if owner is not None:
        return f"{owner.__module__}.{owner.__qualname__}.{target.__name__}"
    bound = getattr(target, "__self__", None)
    module = getattr(target, "__module__", None) or (bound.__name__ if isinstance(bound, ModuleType) else None)
    if module is None and bound is not None:  # the functions of the module `random` are methods of one generator
        module = type(bound).__module__
    name = getattr(target, "__qualname__", getattr(target, "__name__", ""))
    return f"{module}.{name}".removeprefix("_")


def _advice(name: str) -> str | None:
    if name in _SUSPECTS:
        return _SUSPECTS[name]
    return next((advice for start, advice in _SUSPECTS.items() if start.endswith(".") and name.startswith(start)), None)
