"""The URLs of the project."""

from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from durable_engine.access import public
from durable_engine.api.actions import by_method
from durable_engine.api.metrics import prometheus_metrics
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
    path("api/approvals/", include("approvals.api")),
    path("api/v1/", include("durable_engine.api.v1.urls")),
    path("metrics/prometheus", by_method(GET=prometheus_metrics), name="prometheus"),
    path("", include("durable_engine.api.urls")),
    path("", include("dashboard.urls")),
]
