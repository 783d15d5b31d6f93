"""Groups of people: the list, one of them with its members, make, delete."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.asking import Asked, ask_or_act
from dashboard.views.people import ALLOWS, MANAGE
from durable_engine.access import require_permission
from durable_engine.queries.groups import GroupView, group_with, list_groups, members_of
from durable_engine.queries.people import list_people
from durable_engine.services import groups
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError

# Which right, what it allows, and the same in a word.
RIGHTS = (
    ("view_approvalrequest", "See every approval request, asked or not", "sees all requests"),
    ("supervise_approvalrequest", "Supervise approvals: reassign, give more time, withdraw; not decide", "supervises"),
    ("break_glass", "Decide alone in an emergency, with a reason that stays", "emergencies"),
)
LARGEST_ID = 2**31 - 1
MOST_SUGGESTED = 200

ask = require_http_methods(["GET", "HEAD", "POST"])


class RightsForm(forms.Form):
    """What a group may do beyond being asked."""

    rights = forms.MultipleChoiceField(
        label="May also",
        required=False,
        choices=[(codename, label) for codename, label, _ in RIGHTS],
        widget=forms.CheckboxSelectMultiple,
    )


class GroupForm(RightsForm):
    """A new group."""

    name = forms.CharField(
        max_length=150,
        help_text="As the handlers write it, for example “managers”: they ask a group by this name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    field_order = ("name", "rights")


class MemberForm(forms.Form):
    """Somebody to put into a group."""

    username = forms.CharField(
        label="Username", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off", "list": "accounts"})
    )


@require_permission(MANAGE)
@never_cache
@require_safe
def group_list(request: HttpRequest) -> HttpResponse:
    """List the groups by name: who is in them and what they are for."""
    rows = [(group, _allows(group)) for group in list_groups()]
    return render(request, "dashboard/group_list.html", {"section": "people", "rows": rows})


@require_permission(MANAGE)
@never_cache
@ask
def group_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new group, and make it."""
    form = GroupForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            group_id = groups.create_group(typed["name"], rights=typed["rights"], by=_by(request))
        except DurableServiceError as error:
            _put(form, error)
        else:
            messages.success(request, "The group is made. Put somebody into it.")
            return redirect("dashboard:group-detail", group_id)
    context = {"section": "people", "form": form}
    return render(request, "dashboard/group_create.html", context, status=422 if form.is_bound else 200)


@require_permission(MANAGE)
@never_cache
@ask
def group_detail(request: HttpRequest, group_id: int) -> HttpResponse:
    """Show one group, and change what it may do."""
    group = _group_or_404(group_id)
    form = _rights_form(group, request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return _detail(request, group, form)
    if not form.is_valid():
        return _detail(request, group, form, status=422)
    try:
        groups.set_group_rights(group_id, form.cleaned_data["rights"], by=_by(request))
    except DurableServiceError as error:
        _put(form, error)
        return _detail(request, group, form, status=error.status_code)
    messages.success(request, "What the group may do was changed.")
    return redirect("dashboard:group-detail", group_id)


@require_permission(MANAGE)
@never_cache
@require_POST
def group_add(request: HttpRequest, group_id: int) -> HttpResponse:
    """Put somebody into the group."""
    group = _group_or_404(group_id)
    form = MemberForm(request.POST)
    if not form.is_valid():
        return _detail(request, group, _rights_form(group), form, status=422)
    try:
        groups.add_member(group_id, form.cleaned_data["username"], by=_by(request))
    except DurableServiceError as error:
        _put(form, error)
        return _detail(request, group, _rights_form(group), form, status=_status(error))
    messages.success(request, f"{form.cleaned_data['username']} is in the group.")
    return redirect("dashboard:group-detail", group_id)


@require_permission(MANAGE)
@never_cache
@require_POST
def group_remove(request: HttpRequest, group_id: int, user_id: int) -> HttpResponse:
    """Take somebody out of the group."""
    group = _group_or_404(group_id)
    if user_id > LARGEST_ID:
        raise Http404("There is no such account.")
    try:
        groups.remove_member(group_id, user_id, by=_by(request))
    except DurableServiceError as error:
        form = MemberForm()
        return _detail(request, group, _rights_form(group), form, problem=str(error), status=_status(error))
    messages.success(request, "They are no longer in the group.")
    return redirect("dashboard:group-detail", group_id)


@require_permission(MANAGE)
@never_cache
@ask
def group_delete(request: HttpRequest, group_id: int) -> HttpResponse:
    """Ask, then delete the group."""
    group = _group_or_404(group_id)
    effect = "Nobody can be asked by this name any more."
    asked = Asked("Delete this group?", effect, "Delete", "The group is deleted.", group.name, "button-danger-fill")

    def act(_actor: Actor, reason: str) -> str:
        groups.delete_group(group_id, by=_by(request), reason=reason)
        return reverse("dashboard:group-list")

    back_url = reverse("dashboard:group-detail", args=[group_id])
    return ask_or_act(request, asked, act, back_url=back_url, section="people")


def _detail(
    request: HttpRequest,
    group: GroupView,
    form: RightsForm,
    member_form: MemberForm | None = None,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "section": "people",
        "group": group,
        "allows": ALLOWS.get(group.name, ""),
        "members": members_of(group.id),
        "form": form,
        "member_form": member_form or MemberForm(),
        "problem": problem,
        "accounts": [person.username for person in list_people(limit=MOST_SUGGESTED).people],
    }
    return render(request, "dashboard/group_detail.html", context, status=status)


def _rights_form(group: GroupView, data: QueryDict | None = None) -> RightsForm:
    return RightsForm(data, initial={"rights": list(group.rights)})


def _allows(group: GroupView) -> str:
    return ALLOWS.get(group.name) or ", ".join(word for codename, _, word in RIGHTS if codename in group.rights)


def _group_or_404(group_id: int) -> GroupView:
    group = group_with(group_id) if group_id <= LARGEST_ID else None
    if group is None:
        raise Http404(f"There is no group {group_id}.")
    return group


def _put(form: forms.Form, error: DurableServiceError) -> None:
    form.add_error(error.field if error.field in form.fields else None, str(error))


def _status(error: DurableServiceError) -> int:
    return 422 if error.status_code == 400 else error.status_code


def _by(request: HttpRequest) -> Any:
    return cast(User, request.user)  # the decorator let no anonymous in
