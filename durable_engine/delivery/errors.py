"""Why a message was not delivered."""

from __future__ import annotations


class DeliveryFailed(Exception):
    """The other side did not take the message; another attempt may succeed. The text holds no secret."""


class Undeliverable(DeliveryFailed):
    """No attempt can succeed: the recipient is not configured, or says that it is gone."""
