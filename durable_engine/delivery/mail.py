"""Delivers a message as mail, through Django's mail backend."""

from __future__ import annotations

import smtplib
from email.utils import formatdate

from django.core.mail import BadHeaderError, EmailMultiAlternatives

from durable_engine.delivery.errors import DeliveryFailed, Undeliverable
from durable_engine.extensions import Message


def send_mail(address: str, message: Message, message_id: str) -> None:
    """Send one mail. A second attempt carries the same Message-ID, by which mailboxes recognise a double.

    Raises:
        Undeliverable: the server refuses the address for good.
        DeliveryFailed: the server is away or refuses for the moment.
    """
    mail = EmailMultiAlternatives(
        # A line break would end the header.
        subject=" ".join(message.subject.split())[:200],
        body=message.text,
        to=[address],
        headers={
            "Message-ID": f"<{message_id}@perdure>",
            "Date": formatdate(),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        problem = f"the mail server refused the recipient ({', '.join(map(str, sorted(codes)))})"
        raise (Undeliverable if all(code >= 500 for code in codes) else DeliveryFailed)(problem) from error
    except (BadHeaderError, UnicodeError) as error:
        raise Undeliverable(f"the mail can't be written: {error}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryFailed(f"mail: {type(error).__name__}: {error}") from error
