"""Who sees which executions: a rule of the installation, asked for each request of a person.

`DURABLE_VISIBLE_EXECUTIONS=shop.access.visible_executions` names a function `(user) -> Q | None`: the condition on
executions that this person may see, or None for all. Superusers see all and are not asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from durable_engine.models.visible import Rule, Viewer, looking


class NarrowToPerson:
    """Middleware: every page and action of the request finds only the executions that its person may see."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        rule = visibility_rule()
        with looking(None if rule is None else Viewer(request.user, rule)):
            return self.get_response(request)


def viewer_with_id(user_id: int | None) -> Viewer | None:
    """Return how a person sees the executions; None for nobody in particular, and when there is no rule."""
    rule = visibility_rule()
    if user_id is None or rule is None:
        return None
    return Viewer(get_user_model()._default_manager.get(pk=user_id), rule)


def visibility_rule() -> Rule | None:
    """Return the installation's rule; None when there is none.

    Raises:
        ImportError: the setting names nothing that can be imported.
    """
    name: str = settings.DURABLE_VISIBLE_EXECUTIONS
    if not name:
        return None
    theirs: Rule = import_string(name)

    def rule(user: Any) -> Q | None:
        # Without a login nothing is shown anyway.
        sees_all = user.is_superuser or not user.is_authenticated
        return None if sees_all else theirs(user)

    return rule
