"""Who looks, for the time of a request, and which executions they may see: `Execution.objects.visible()` asks here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from django.db.models import Q

Rule = Callable[[Any], Q | None]


class Viewer:
    """A person for whom the executions are narrowed by a rule. The rule is asked at the first look, and once."""

    def __init__(self, user: Any, rule: Rule) -> None:
        self._user = user
        self._rule = rule

    @property
    def user_id(self) -> int | None:
        """Who looks."""
        user_id: int | None = self._user.pk
        return user_id

    @cached_property
    def condition(self) -> Q | None:
        """What the executions that the person may see fulfil; None for all of them."""
        return self._rule(self._user)


_viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)


@contextmanager
def looking(viewer: Viewer | None) -> Iterator[None]:
    """Let everything inside be seen as this person sees it; None sees all."""
    token = _viewer.set(viewer)
    try:
        yield
    finally:
        _viewer.reset(token)


def visible_condition() -> Q | None:
    """Return what the executions that may be seen now fulfil, None when all may."""
    viewer = _viewer.get()
    return None if viewer is None else viewer.condition


def narrowed_viewer_id() -> int | None:
    """Return who looks, when they may not see everything; None otherwise."""
    viewer = _viewer.get()
    return None if viewer is None or viewer.condition is None else viewer.user_id
