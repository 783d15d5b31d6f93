"""Empties the database after a test that commits: only the tables it wrote, which takes a tenth of emptying all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.test import TransactionTestCase

# Rows that migrations make. Emptying them takes making them again; what a test does to them is noticed.
KEPT = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")


class Emptying:
    """Takes the place of Django's flush in this process, from the moment it is made, when nothing was written yet."""

    def __init__(self) -> None:
        case: Any = TransactionTestCase
        self._flush = case._fixture_teardown
        self._tables = self._all_tables()
        self._referring = self._all_references()
        self._remember()
        case._fixture_teardown = lambda case: self._empty(case)

    def _empty(self, case: TransactionTestCase) -> None:
        written = self._written()
        if written:
            self._execute(f"TRUNCATE {', '.join(sorted(self._with_referring(written)))}")
        self._execute("DELETE FROM auth_group_permissions WHERE group_id <> ALL(%s)", self._groups)
        self._execute("DELETE FROM auth_group WHERE id <> ALL(%s)", self._groups)
        if self._content_of_kept() != self._kept:
            self._flush(case)
            self._remember()

    def _remember(self) -> None:
        self._groups = [number for (number,) in self._rows("SELECT id FROM auth_group")]
        self._kept = self._content_of_kept()

    def _written(self) -> list[str]:
        looks = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in self._tables)
        return [name for (name,) in self._rows(looks)]

    def _with_referring(self, names: Iterable[str]) -> set[str]:
        """Return the tables with all that refer to them: they have to be emptied in one statement, empty or not."""
        found: set[str] = set()
        rest = list(names)
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest += self._referring[name]
        return found

    def _all_tables(self) -> list[str]:
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        return [name for name in names if name not in KEPT and name != "django_migrations"]

    def _all_references(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for table, referring in self._rows(
            "SELECT confrelid::regclass::text, conrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        ):
            found[table].append(referring)
        return found

    def _content_of_kept(self) -> list[tuple[Any, ...]]:
        content = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM {} t"
        return [row for name in KEPT for row in self._rows(content.format(name))]

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _execute(self, sql: str, *values: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
