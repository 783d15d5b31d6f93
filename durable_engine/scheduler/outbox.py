"""Delivers the outbox. Other sides are slow: they are talked to in a thread of their own, so that no timer waits.

A message is claimed for two minutes, delivered without a transaction, and then marked. A crash in between delivers it
again: each attempt carries the same id, by which the other side can tell.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import django.db
from django.conf import settings
from django.db import transaction

from durable_engine import extensions
from durable_engine.delivery.chat import send_chat
from durable_engine.delivery.errors import DeliveryFailed, Undeliverable
from durable_engine.delivery.mail import send_mail
from durable_engine.delivery.webhook import Endpoint, post_webhook
from durable_engine.models import OutboxStatus
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.services import outbox
from durable_engine.services.outbox import Claimed
from durable_engine.storage.server import is_away

# At most as many as are under way at once, so that none of them waits while its lease runs.
AT_ONCE = 4
FORGET_EVERY_SECONDS = 600.0

logger = logging.getLogger(__name__)


def sweep(this: Round) -> None:
    """Wake the deliverer when something is due."""
    due = "SELECT 1 FROM durable_outbox WHERE status = 'PENDING' AND next_try_at <= clock_timestamp() LIMIT 1"
    if this.connection.execute(due).fetchone() is not None:
        deliverer.wake()


def forget(this: Round) -> None:
    """Delete what was finished long ago."""
    repeat(lambda: outbox.forget_finished(BATCH))


def deliver_due() -> int:
    """Deliver one handful of due messages; returns how many were claimed."""
    messages = outbox.claim_due(AT_ONCE)
    # What a message says is looked up here, on this thread's connection; the pool only talks to the other sides.
    prepared = [(message, made) for message in messages if (made := _prepare(message)) is not None]
    if prepared:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outbox") as pool:
            problems = list(pool.map(lambda pair: _attempt(*pair), prepared))
        for (message, _), problem in zip(prepared, problems, strict=True):
            _conclude(message, problem)
    return len(messages)


class Deliverer:
    """The thread that drains the outbox. It starts at its first use and ends with the process."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have the thread look at the outbox."""
        self._due.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            try:
                while deliver_due():
                    pass
            except Exception:
                logger.exception("the outbox could not be delivered; it is tried again")
            finally:
                django.db.connections.close_all()


deliverer = Deliverer()


def _prepare(message: Claimed) -> extensions.Message | None:
    maker = extensions.message_maker(message.topic)
    if maker is None:
        outbox.finish(message, OutboxStatus.DROPPED, f"no installed app makes messages of {message.topic}")
        return None
    try:
        made = maker.make(_outgoing(message))
    except Exception as error:
        logger.exception("message %s of %s could not be made", message.id, message.topic)
        _conclude(message, DeliveryFailed(f"{type(error).__name__}: {error}"))
        return None
    if made is None:
        outbox.finish(message, OutboxStatus.DROPPED, "no longer needed")
    return made


def _attempt(message: Claimed, made: extensions.Message) -> DeliveryFailed | None:
    try:
        _send(message, made)
    except DeliveryFailed as problem:
        return problem
    except Exception as error:
        logger.exception("message %s of %s", message.id, message.topic)
        return DeliveryFailed(f"{type(error).__name__}: {error}")
    return None


def _send(message: Claimed, made: extensions.Message) -> None:
    match message.channel:
        case "email":
            send_mail(message.recipient, made, str(message.id))
        case "webhook":
            if message.recipient not in settings.DURABLE_WEBHOOKS:
                raise Undeliverable(f"DURABLE_WEBHOOKS has no {message.recipient!r}")
            url, secret = settings.DURABLE_WEBHOOKS[message.recipient]
            post_webhook(Endpoint(url, secret, settings.DURABLE_WEBHOOKS_PRIVATE), made.data, str(message.id))
        case _:
            if message.recipient not in settings.DURABLE_APPRISE:
                raise Undeliverable(f"DURABLE_APPRISE has no {message.recipient!r}")
            send_chat(settings.DURABLE_APPRISE[message.recipient], made)


def _conclude(message: Claimed, problem: DeliveryFailed | None) -> None:
    if problem is None:
        outbox.finish(message, OutboxStatus.SENT)
        return
    text = str(problem)
    if not isinstance(problem, Undeliverable) and outbox.try_again(message, text):
        logger.warning("message %s of %s not delivered yet: %s", message.id, message.topic, text)
        return
    try:
        _give_up(message, text)
    except Exception as error:
        if is_away(error):
            raise
        # Of the app's own doing: it must not keep the others from being marked as delivered.
        logger.exception("nobody was told that message %s of %s was given up", message.id, message.topic)
        outbox.finish(message, OutboxStatus.FAILED, text)


# Together: whoever dies in between has not given it up.
@transaction.atomic
def _give_up(message: Claimed, text: str) -> None:
    if not outbox.finish(message, OutboxStatus.FAILED, text):
        return
    logger.error("message %s of %s given up: %s", message.id, message.topic, text)
    maker = extensions.message_maker(message.topic)
    if maker is not None and maker.failed is not None:
        maker.failed(_outgoing(message), text)


def _outgoing(message: Claimed) -> extensions.Outgoing:
    return extensions.Outgoing(message.channel, message.recipient, message.payload)
