"""The one table of the main navigation: what each entry is called, who sees it, and its glyph."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `section` is what a page names itself by; `glyph` is an SVG path in a 16 by 16 box.

    Without a `permission` everybody with a login sees it.
    """

    section: str
    label: str
    url_name: str
    permission: str
    glyph: str

    @property
    def url(self) -> str:
        """Where it leads."""
        return reverse(self.url_name)


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that belong together. A group without a heading comes first."""

    heading: str
    entries: tuple[Entry, ...]


VIEW = "durable_engine.view_execution"

GROUPS = (
    Group(
        "",
        (
            Entry("home", "Home", "dashboard:home", VIEW, "M2.5 7.5L8 3l5.5 4.5M4 6.8v6.2h8V6.8"),
            Entry("executions", "Executions", "dashboard:execution-list", VIEW, "M2.5 4h6M5 8h6M8 12h5.5"),
            Entry("failures", "Failures", "dashboard:failure-list", VIEW, "M8 2.4l6 11H2zM8 6.4v3.2M8 11.5v.2"),
            Entry(
                "approvals",
                "Approvals",
                "approvals:inbox",
                "",
                "M8 2.5a2.6 2.6 0 1 0 0 5.2a2.6 2.6 0 1 0 0-5.2M3 13.5c.4-3 2.4-4.3 5-4.3M9.5 11.6l1.7 1.7l3-3.2",
            ),
        ),
    ),
    Group(
        "Run",
        (
            Entry(
                "functions",
                "Functions",
                "dashboard:function-list",
                "durable_engine.view_function",
                "M6.2 2.8c-2 0-2.4 1-2.4 2.4S3.6 8 2 8c1.6 0 1.8 1.4 1.8 2.8s.4 2.4 2.4 2.4"
                "M9.8 2.8c2 0 2.4 1 2.4 2.4S12.4 8 14 8c-1.6 0-1.8 1.4-1.8 2.8s-.4 2.4-2.4 2.4",
            ),
            Entry(
                "schedules",
                "Schedules",
                "dashboard:schedule-list",
                "durable_engine.view_schedule",
                "M3 4.5h10v9H3zM3 7.5h10M5.7 2.8v3M10.3 2.8v3",
            ),
            Entry(
                "workers",
                "Workers",
                "dashboard:worker-list",
                "durable_engine.view_worker",
                "M2.5 3.5h11v4h-11zM2.5 9.5h11v4h-11zM5 5.5h.1M5 11.5h.1",
            ),
            Entry("metrics", "Metrics", "dashboard:metrics", VIEW, "M2.5 13.5h11M4.5 11V8M8 11V3.5M11.5 11V6"),
        ),
    ),
    Group(
        "Administer",
        (
            Entry(
                "audit",
                "Audit",
                "dashboard:audit-list",
                "durable_engine.view_auditentry",
                "M4 2.5h8v11H4zM6.2 5.5h3.6M6.2 8h3.6M6.2 10.5h2",
            ),
            Entry(
                "keys",
                "API keys",
                "dashboard:key-list",
                "durable_engine.manage_apikey",
                "M5.5 6.5a3 3 0 1 0 0 6a3 3 0 1 0 0-6M7.7 7.4L13.5 2.5M11 4.6l1.8 1.9M9.3 6l1.3 1.4",
            ),
            Entry(
                "people",
                "People",
                "dashboard:person-list",
                "durable_engine.manage_people",
                "M6 3a2.2 2.2 0 1 0 0 4.4a2.2 2.2 0 1 0 0-4.4M2 13c.3-2.6 1.9-3.7 4-3.7s3.7 1.1 4 3.7"
                "M10.5 3.4a2 2 0 0 1 0 3.8M12 9.6c1.2.5 1.9 1.6 2 3.4",
            ),
            Entry(
                "settings",
                "Settings",
                "dashboard:settings",
                "",
                "M3 5h6M12 5h1M3 11h1M7 11h6M10.5 3.5v3M5.5 9.5v3",
            ),
        ),
    ),
)


def groups_for(user: User | AnonymousUser) -> Iterator[Group]:
    """Yield the groups with the entries this person may open; none that is empty."""
    for group in GROUPS:
        entries = tuple(entry for entry in group.entries if not entry.permission or user.has_perm(entry.permission))
        if entries:
            yield Group(group.heading, entries)
