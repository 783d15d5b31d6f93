"""A scanner with a real browser opens each link of each mail, runs every script and presses no button."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from playwright.sync_api import Page

from approvals.models import ApprovalEvent, ApprovalRequest, LinkToken, Vote
from durable_engine.models import Callback
from durable_engine.scheduler.outbox import deliver_due
from tests.approvals.people import opened, user, vote
from tests.e2e.conftest import Complaints

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def links() -> list[str]:
    """Deliver what waits, and return the addresses in every mail so far."""
    while deliver_due():
        pass
    sent = [each for each in mail.outbox if isinstance(each, EmailMultiAlternatives)]
    texts = [str(part) for each in sent for part in (each.body, *(other[0] for other in each.alternatives))]
    found = {address for text in texts for address in re.findall(r"http://[^\s\"<]+", text)}
    return sorted(urlsplit(address).path for address in found)


def state() -> list[object]:
    """Everything that an answer, or the use of a link, would change."""
    models = (ApprovalRequest, Vote, ApprovalEvent, LinkToken, Callback)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def scan(page: Page) -> None:
    """Open each link, let its scripts run, and follow every link of the page it leads to."""
    for path in links():
        page.goto(path, wait_until="networkidle")
        page.mouse.wheel(0, 2_000)
        targets = page.eval_on_selector_all(
            "main a[href^='/']", "found => found.map(each => each.getAttribute('href'))"
        )
        for target in targets[:10]:
            page.goto(target, wait_until="networkidle")


def test_a_scanner_that_runs_scripts_and_presses_nothing_changes_nothing(page: Page, complaints: Complaints) -> None:
    complaints.expect("status of 4(03|04|10)")
    ana, ben = user("ana", "finance"), user("ben", "finance")
    by_login, by_link = opened(quorum=2), opened(title="By link", link="confirm", quorum=2)
    for before in (lambda: None, lambda: vote(by_link, ana), lambda: vote(by_link, ben), lambda: vote(by_login, ana)):
        before()
        links()
        seen = state()
        scan(page)
        assert state() == seen
