import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import AuditEntry
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_user
from tests.html import element, elements, words
from tests.seeds import person

LogIn = Callable[..., Client]
LIST = "/people/"


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


def page_of(user: User) -> str:
    return f"/people/{user.pk}/"


def groups_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


@pytest.fixture
def administrator(log_in: LogIn) -> Client:
    return log_in("Administrator")


@pytest.fixture
def foreign_group(db: None) -> Group:
    """A group of the host's application, which allows something there."""
    group = Group.objects.create(name="Accountants")
    group.permissions.add(Permission.objects.get(codename="add_user", content_type__app_label="auth"))
    return group


class TestList:
    def test_accounts_are_listed_with_their_groups(self, administrator: Client) -> None:
        person("ana", "Operator", "Payload viewer")
        User.objects.create_superuser("root-of-all")
        make_user("gone", is_active=False)
        html = text_of(administrator, LIST)
        for shown in ("Operator, Payload viewer", "superuser</span>", "closed</span>", "none"):
            assert shown in html

    def test_they_are_found_by_the_beginning_of_their_name_and_paged(self, administrator: Client) -> None:
        for number in range(55):
            make_user(f"user-{number:02}")
        html = text_of(administrator, f"{LIST}?q=user")
        assert "user-49" in html
        assert "user-50" not in html
        older = element(html, rel="next")["href"]
        assert "user-50" in text_of(administrator, LIST + older)
        assert "No account begins with that" in text_of(administrator, f"{LIST}?q=nobody")

    def test_the_number_of_queries_is_constant(
        self, administrator: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        # Session, user, two for permissions, the accounts, their groups, the groups that can be given.
        with django_assert_num_queries(7):
            administrator.get(LIST)
        for number in range(10):
            person(f"user-{number}", "Viewer")
        with django_assert_num_queries(7):
            administrator.get(LIST)


class TestGroups:
    def test_an_administrator_puts_an_account_into_groups_and_takes_it_out(self, administrator: Client) -> None:
        ana = person("ana", "Viewer")
        assert "checked" in element(text_of(administrator, page_of(ana)), value="Viewer")
        administrator.post(page_of(ana), {"groups": ["Operator", "Approver"], "reason": "on call"})
        assert groups_of(ana) == {"Operator", "Approver"}
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.reason) == ("set_groups", "administrator", "on call")
        assert entry.details == {"account": "ana", "added": ["Approver", "Operator"], "removed": ["Viewer"]}

    def test_groups_of_the_hosts_application_are_neither_given_nor_taken(
        self, administrator: Client, foreign_group: Group
    ) -> None:
        ana = person("ana")
        assert "Accountants" not in text_of(administrator, page_of(ana))
        assert administrator.post(page_of(ana), {"groups": ["Accountants"]}).status_code == 422
        assert groups_of(ana) == set()

    def test_an_account_with_rights_beyond_this_product_is_left_to_superusers(
        self, administrator: Client, foreign_group: Group
    ) -> None:
        accountant, boss = person("bob"), User.objects.create_superuser("boss", password="secret")
        accountant.groups.add(foreign_group)
        for user in (accountant, boss):
            for url, data in (
                (page_of(user), {"groups": ["Viewer"]}),
                (f"{page_of(user)}close/", {}),
                (f"{page_of(user)}password/", {}),
            ):
                response = administrator.post(url, data)
                assert response.status_code == 409
                assert "only a superuser may change it" in words(response.content.decode())
            user.refresh_from_db()
            assert user.is_active
            assert user.check_password("secret")
        client = Client()
        client.force_login(boss)
        client.post(page_of(accountant), {"groups": ["Viewer"]})
        assert groups_of(accountant) == {"Viewer", "Accountants"}

    def test_a_group_of_approvers_without_rights_can_be_given(self, administrator: Client) -> None:
        Group.objects.create(name="CFO office")
        ana = person("ana")
        administrator.post(page_of(ana), {"groups": ["CFO office"]})
        assert groups_of(ana) == {"CFO office"}

    def test_nobody_locks_themselves_out(self, administrator: Client) -> None:
        me = User.objects.get(username="administrator")
        response = administrator.post(page_of(me), {"groups": ["Viewer"], "reason": "typed"})
        assert response.status_code == 409
        assert "Ask another administrator" in words(response.content.decode())
        assert "typed" in response.content.decode()
        assert administrator.post(f"{page_of(me)}close/", {}).status_code == 409
        me.refresh_from_db()
        assert me.is_active
        assert groups_of(me) == {"Administrator"}


class TestAccounts:
    def test_a_new_account_gets_a_password_that_is_shown_once_and_works(self, administrator: Client) -> None:
        response = administrator.post(
            "/people/new/", {"username": "ana", "email": "ana@example.com", "groups": ["Operator"]}
        )
        html = response.content.decode()
        found = re.search(r'<span class="mono">([\w-]{20})</span>', html)
        assert found is not None
        assert "no-store" in response["Cache-Control"]
        assert Client().login(username="ana", password=found[1])
        assert groups_of(User.objects.get(username="ana")) == {"Operator"}
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.details) == ("create_account", {"account": "ana", "groups": ["Operator"]})
        assert found[1] not in str(entry.details)

    @pytest.mark.parametrize("name", ["", "with space", "x" * 151, "administrator", "a/b"])
    def test_a_name_that_cannot_be_one_is_refused_at_its_field(self, administrator: Client, name: str) -> None:
        response = administrator.post("/people/new/", {"username": name, "email": "a@example.com"})
        assert response.status_code == 422
        assert elements(response.content.decode(), id="id_username_error")
        assert User.objects.count() == 1

    def test_a_new_password_ends_every_session_of_the_old_one(self, administrator: Client) -> None:
        ana, hers = person("ana", "Viewer"), Client()
        hers.force_login(ana)
        html = administrator.post(f"{page_of(ana)}password/", {"reason": "forgotten"}).content.decode()
        found = re.search(r'<span class="mono">([\w-]{20})</span>', html)
        assert found is not None
        assert Client().login(username="ana", password=found[1])
        assert hers.get("/").status_code == 302
        assert AuditEntry.objects.get().action == "reset_password"

    def test_a_closed_account_is_out_at_once_and_can_be_opened_again(self, administrator: Client) -> None:
        ana, hers = person("ana", "Viewer"), Client()
        hers.force_login(ana)
        administrator.post(f"{page_of(ana)}close/", {"reason": "left"})
        assert hers.get("/").status_code == 302
        assert administrator.post(f"{page_of(ana)}close/", {}).status_code == 409
        administrator.post(f"{page_of(ana)}open/", {})
        assert Client().login(username="ana", password="secret")
        assert administrator.post(f"{page_of(ana)}open/", {}).status_code == 409

    def test_looking_changes_nothing(self, administrator: Client) -> None:
        ana = person("ana")
        for verb in ("close", "password"):
            assert administrator.get(f"{page_of(ana)}{verb}/").status_code == 200
        ana.refresh_from_db()
        assert ana.is_active
        assert ana.check_password("secret")
        assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("url", [LIST, "/people/new/", "/people/1/", "/people/1/close/", "/people/1/password/"])
def test_only_administrators_may(log_in: LogIn, url: str) -> None:
    client = log_in("Operator", "Payload viewer", "Approver")
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403


def test_an_account_that_does_not_exist_is_404(administrator: Client) -> None:
    assert administrator.get("/people/999999/").status_code == 404
    assert administrator.get(f"/people/{2**70}/").status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(administrator: Client, hostile: str) -> None:
    user = User.objects.create(username=hostile, email=hostile[:100])
    user.groups.add(Group.objects.create(name=hostile))
    for url in (LIST, f"{LIST}?q={hostile}", page_of(user), f"{page_of(user)}close/"):
        assert executable_parts(administrator.get(url).content.decode()) == []
    typed = {"username": hostile, "email": hostile, "groups": [hostile], "reason": hostile}
    assert executable_parts(administrator.post("/people/new/", typed).content.decode()) == []
