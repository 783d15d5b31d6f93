"""Groups are made, filled and emptied by clicking; what they are given is what the product offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from approvals import Group as Asked
from approvals.models import ApprovalRequest
from durable_engine.models import AuditEntry
from tests.approvals.people import opened, page_of
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import elements, words
from tests.seeds import person

LogIn = Callable[..., Client]
LIST = "/people/groups/"


def url(group: Group, verb: str = "") -> str:
    return f"/people/groups/{group.pk}/{verb}"


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return words(response.content.decode())


@pytest.fixture
def administrator(log_in: LogIn) -> Client:
    return log_in("Administrator")


@pytest.fixture
def managers(db: None) -> Group:
    return Group.objects.create(name="managers")


def test_from_a_fresh_installation_to_an_approval_by_clicking_alone(administrator: Client) -> None:
    response = administrator.post(f"{LIST}new/", {"name": "  managers "}, follow=True)
    group = Group.objects.get(name="managers")
    assert response.redirect_chain == [(url(group), 302)]
    assert "Nobody yet." in words(response.content.decode())
    administrator.post("/people/new/", {"username": "mia", "groups": []})
    administrator.post(url(group, "add/"), {"username": "mia"})
    assert "mia" in text_of(administrator, url(group))
    opened(assignees=[Asked("managers")], title="Buy mugs")
    mia = User.objects.get(username="mia")
    assert "Buy mugs" in page_of(mia, reverse("approvals:inbox-box", args=["groups"]))
    administrator.post(url(group, f"remove/{mia.pk}/"))
    assert "Buy mugs" not in page_of(mia, reverse("approvals:inbox-box", args=["groups"]))
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["create_group", "create_account", "set_groups", "set_groups"]


def test_what_came_with_the_product_and_what_was_made_are_listed(administrator: Client, managers: Group) -> None:
    person("ana", "Operator").groups.add(managers)
    html = text_of(administrator, LIST)
    for shown in ("Administrator", "answers callbacks", "managers", "to be asked"):
        assert shown in html


def test_the_number_of_queries_is_constant(
    administrator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session, user, two for permissions, and three of the list.
    with django_assert_num_queries(7):
        administrator.get(LIST)
    for number in range(20):
        person(f"user-{number}").groups.add(Group.objects.create(name=f"group {number}"))
    with django_assert_num_queries(7):
        administrator.get(LIST)


def test_a_group_is_given_rights_of_approvals_and_no_others(administrator: Client, managers: Group) -> None:
    administrator.post(url(managers), {"rights": ["supervise_approvalrequest", "break_glass"]})
    assert set(managers.permissions.values_list("codename", flat=True)) == {"supervise_approvalrequest", "break_glass"}
    administrator.post(url(managers), {"rights": ["supervise_approvalrequest"]})
    assert set(managers.permissions.values_list("codename", flat=True)) == {"supervise_approvalrequest"}
    entry = AuditEntry.objects.order_by("-id")[0]
    assert entry.details == {"group": "managers", "added": [], "removed": ["break_glass"]}
    assert administrator.post(url(managers), {"rights": ["manage_people"]}).status_code == 422
    assert "supervises" in text_of(administrator, LIST)


def test_the_groups_of_the_product_keep_their_rights(administrator: Client) -> None:
    viewer = Group.objects.get(name="Viewer")
    before = set(viewer.permissions.values_list("codename", flat=True))
    assert "May also" not in text_of(administrator, url(viewer))
    assert administrator.post(url(viewer), {"rights": ["break_glass"]}).status_code == 409
    assert administrator.post(url(viewer, "delete/"), {}).status_code == 409
    assert set(viewer.permissions.values_list("codename", flat=True)) == before


def test_a_group_is_deleted_unless_somebody_is_in_it_or_it_was_ever_asked(
    administrator: Client, managers: Group
) -> None:
    ana = person("ana")
    ana.groups.add(managers)
    response = administrator.post(url(managers, "delete/"), {"reason": "typed"})
    assert response.status_code == 409
    assert "Take them out first." in words(response.content.decode())
    opened(assignees=[Asked("managers")])
    ana.groups.clear()
    response = administrator.post(url(managers, "delete/"), {"reason": "typed"})
    assert response.status_code == 409
    assert "This group was asked something" in words(response.content.decode())
    assert ApprovalRequest.objects.get().candidates.count() == 1
    unused = Group.objects.create(name="unused")
    assert administrator.post(url(unused, "delete/"), {}).status_code == 302
    assert not Group.objects.filter(name="unused").exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 151, "managers", "a\x00b", "a\u202eb"])
def test_a_name_that_cannot_be_one_is_refused_at_its_field(administrator: Client, managers: Group, name: str) -> None:
    response = administrator.post(f"{LIST}new/", {"name": name})
    assert response.status_code == 422
    assert elements(response.content.decode(), id="id_name_error")
    assert Group.objects.filter(name__startswith="m").count() == 1


def test_somebody_who_does_not_exist_is_told_at_the_field(administrator: Client, managers: Group) -> None:
    for name in ("nobody", "", "a\x00"):
        response = administrator.post(url(managers, "add/"), {"username": name})
        assert response.status_code == 422
        assert elements(response.content.decode(), id="id_username_error")


def test_accounts_and_groups_beyond_this_product_are_left_alone(administrator: Client, managers: Group) -> None:
    boss = User.objects.create_superuser("boss")
    assert administrator.post(url(managers, "add/"), {"username": "boss"}).status_code == 409
    managers.user_set.add(boss)
    response = administrator.post(url(managers, f"remove/{boss.pk}/"))
    assert response.status_code == 409
    assert "only a superuser may change it" in words(response.content.decode())
    foreign = Group.objects.create(name="Accountants")
    foreign.permissions.add(Permission.objects.get(codename="add_user", content_type__app_label="auth"))
    assert administrator.get(url(foreign)).status_code == 404
    assert "Accountants" not in text_of(administrator, LIST)


def test_nobody_takes_the_administration_from_themselves(administrator: Client) -> None:
    group, me = Group.objects.get(name="Administrator"), User.objects.get(username="administrator")
    assert administrator.post(url(group, f"remove/{me.pk}/")).status_code == 409
    assert me.groups.filter(name="Administrator").exists()


@pytest.mark.parametrize("verb", ["", "add/", "delete/", "remove/1/"])
def test_only_administrators_may(log_in: LogIn, managers: Group, verb: str) -> None:
    client = log_in("Operator", "Payload viewer", "Approver")
    assert client.get(LIST).status_code == client.get(f"{LIST}new/").status_code == 403
    assert client.post(url(managers, verb)).status_code == 403


def test_looking_changes_nothing(administrator: Client, managers: Group) -> None:
    for address in (LIST, f"{LIST}new/", url(managers), url(managers, "delete/")):
        assert administrator.get(address).status_code == 200
    assert administrator.get(url(managers, "add/")).status_code == 405
    assert administrator.get(f"/people/groups/{2**70}/").status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(administrator: Client, hostile: str) -> None:
    group = Group.objects.create(name=hostile.replace("\x00", "")[:150])
    group.user_set.add(User.objects.create(username=hostile.replace("\x00", "")[:150]))
    for address in (LIST, url(group), url(group, "delete/")):
        assert executable_parts(administrator.get(address).content.decode()) == []
    typed = {"name": hostile, "username": hostile, "rights": [hostile]}
    for address in (f"{LIST}new/", url(group), url(group, "add/")):
        assert executable_parts(administrator.post(address, typed).content.decode()) == []
