"""Keep filters of a list, for oneself or for everybody."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from durable_engine.models import SavedView
from durable_engine.queries.saved_views import EXECUTIONS
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import InvalidInput, SavedViewNotFound

LONGEST_NAME: Final = 80
LONGEST_QUERY: Final = 2_000
MOST_VIEWS: Final = 50  # of one person


@transaction.atomic
def save_view(name: str, query: str, *, actor: Actor, shared: bool = False, page: str = EXECUTIONS) -> UUID:
    """Keep the query string of a list under a name; one of the same person and name is replaced. Returns its id.

    `page` says which list it is: executions or approvals.

    Raises:
        InvalidInput: the name is empty or too long, the query is too long, the person has 50 others, or the actor is
            nobody who could own it.
    """
    name = name.strip()
    if actor.user_id is None:
        raise InvalidInput("actor", "only a person can keep views.")
    if not name or len(name) > LONGEST_NAME or "\x00" in name:
        raise InvalidInput("name", f"must have 1 to {LONGEST_NAME} characters.", 'Example: "Failed today".')
    if len(query) > LONGEST_QUERY:
        raise InvalidInput("query", f"has {len(query)} characters; at most {LONGEST_QUERY} are kept.")
    others = SavedView.objects.filter(owner_id=actor.user_id, page=page).exclude(name=name)
    if others.count() >= MOST_VIEWS:
        raise InvalidInput("name", f"you keep {MOST_VIEWS} views already.", "Delete one of them first.")
    view, _ = SavedView.objects.update_or_create(
        owner_id=actor.user_id, page=page, name=name, defaults={"query": query, "is_shared": shared}
    )
    return view.pk


def delete_view(view_id: UUID, *, actor: Actor, of_anybody: bool = False, page: str = EXECUTIONS) -> None:
    """Delete a view of one's own; with `of_anybody` also one that somebody else shares.

    Raises:
        SavedViewNotFound: there is none with this id that the person may delete.
    """
    own = Q(owner_id=actor.user_id) if actor.user_id is not None else Q(pk__in=())
    allowed = own | Q(is_shared=True) if of_anybody else own
    if not SavedView.objects.filter(allowed, pk=view_id, page=page).delete()[0]:
        raise SavedViewNotFound(view_id)
