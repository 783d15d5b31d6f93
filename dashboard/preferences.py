"""How one person wants times to be shown: in which zone, and as distances or as dates. Kept in cookies."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from durable_engine.services.recurrence import time_zones

ZONE_COOKIE = "zone"
TIMES_COOKIE = "times"
THEME_COOKIE = "theme"
YEAR_SECONDS = 365 * 86_400
RELATIVE, ABSOLUTE = "relative", "absolute"

_shows_dates: ContextVar[bool] = ContextVar("shows_dates", default=False)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was chosen, with the defaults filled in."""

    zone: str = "UTC"
    times: str = RELATIVE
    theme: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest) -> "Preferences":
        """Read the cookies; a value that is none of the choices is the default."""
        zone, times = request.COOKIES.get(ZONE_COOKIE, ""), request.COOKIES.get(TIMES_COOKIE, "")
        theme = request.COOKIES.get(THEME_COOKIE, "")
        return cls(
            zone=zone if zone in time_zones() else "UTC",
            times=times if times == ABSOLUTE else RELATIVE,
            theme=theme if theme in {"light", "dark"} else "",
        )


class ShowTimes:
    """Middleware: every page of the request shows times as the person wants them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = Preferences.of_request(request)
        token = _shows_dates.set(chosen.times == ABSOLUTE)
        try:
            with timezone.override(ZoneInfo(chosen.zone)):
                return self.get_response(request)
        finally:
            _shows_dates.reset(token)


def shows_dates() -> bool:
    """Whether the page being made shows dates where it would show distances in time."""
    return _shows_dates.get()
