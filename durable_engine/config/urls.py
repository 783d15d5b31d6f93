"""The URLs of the project."""

from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from durable_engine.access import public
from durable_engine.config.views import healthz


class Favicon(RedirectView):
    """Browsers ask for /favicon.ico whatever a page says."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        """Return the address of the real icon."""
        return static("favicon.svg")


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("favicon.ico", public(Favicon.as_view())),
    path("login/", public(LoginView.as_view(redirect_authenticated_user=True)), name="login"),
    path("logout/", public(LogoutView.as_view()), name="logout"),
    path("approvals/", include("approvals.urls")),
    path("", include("dashboard.urls")),
]
