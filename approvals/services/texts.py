"""Words that people type: reasons, comments, questions."""

from __future__ import annotations

from django.utils.translation import gettext as _

from approvals.services.exceptions import InvalidAnswer
from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.validation import checked_text

LONGEST_WORDS = 2_000


def checked_words(text: object, field: str, *, required: bool = False) -> str:
    """Return the text without surrounding white space, at most 2,000 characters.

    Raises:
        InvalidAnswer: names the field and what is wrong.
    """
    try:
        words = checked_text(text, field=field, limit=4 * LONGEST_WORDS).strip()
    except InvalidInput as error:
        raise InvalidAnswer({field: [error.problem.partition(": ")[2].capitalize()]}) from error
    if len(words) > LONGEST_WORDS:
        raise InvalidAnswer(
            {
                field: [
                    _("This has %(size)d characters; at most %(most)d.") % {"size": len(words), "most": LONGEST_WORDS}
                ]
            }
        )
    if required and not words:
        raise InvalidAnswer({field: [_("Write something; it stays in the history.")]})
    return words
