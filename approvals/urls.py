"""The URLs of the approvals."""

from django.urls import path

from approvals import views

app_name = "approvals"

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("poll/", views.inbox_poll, name="inbox-poll"),
    path("<uuid:execution_id>/<str:operation_id>/", views.callback_decide, name="callback-decide"),
]
