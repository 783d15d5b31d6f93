"""Which mails a person wants."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from approvals.forms import PreferencesForm
from approvals.services.preferences import WISHES, preferences_of, set_preferences
from approvals.views.common import person_page, posted, user_of


@person_page
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Show the person's wishes, and change them."""
    person = user_of(request)
    kept = preferences_of(person)
    form = PreferencesForm(posted(request), initial={wish: getattr(kept, wish) for wish in WISHES})
    if form.is_bound and form.is_valid():
        set_preferences(person, **form.cleaned_data)
        messages.success(request, _("Your wishes are kept."))
        return redirect("approvals:preferences")
    return render(
        request, "approvals/preferences.html", {"section": "approvals", "form": form, "address": person.email}
    )
