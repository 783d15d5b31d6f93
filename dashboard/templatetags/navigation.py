"""The main navigation, on every page."""

from typing import Any

from django import template
from django.utils import timezone

from dashboard.navigation import groups_for

register = template.Library()


@register.simple_tag
def current_zone() -> str:
    """The zone of the page's times, shortly: `UTC`, `CET`."""
    return f"{timezone.localtime():%Z}"


@register.inclusion_tag("components/_navigation.html", takes_context=True)
def navigation(context: dict[str, Any]) -> dict[str, Any]:
    """The entries a person may open, the one of the current page marked."""
    return {"groups": list(groups_for(context["user"])), "section": context.get("section")}
