"""Delivers a message to chats and phones through the package apprise, when it is installed."""

from __future__ import annotations

import logging

from durable_engine.delivery.errors import DeliveryFailed, Undeliverable
from durable_engine.extensions import Message


def send_chat(url: str, message: Message) -> None:
    """Send to one apprise URL. The URL holds tokens: no error repeats it.

    Raises:
        Undeliverable: apprise is not installed, or does not know the kind of URL.
        DeliveryFailed: the service did not take it.
    """
    try:
        import apprise
    except ImportError as error:
        raise Undeliverable('the package apprise is not installed: pip install "perdure[apprise]"') from error
    # It logs URLs that it can't read, tokens and all.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    target = apprise.Apprise()
    if not target.add(url):
        raise Undeliverable("apprise can't read the URL; see DURABLE_APPRISE")
    if not target.notify(title=message.subject, body=message.text):
        raise DeliveryFailed("the service did not take the message")
