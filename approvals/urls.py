"""The URLs of the approvals."""

from django.urls import include, path

from approvals.views import (
    away,
    bulk,
    callback,
    history,
    inbox,
    link,
    preferences,
    request,
    request_actions,
    saved_views,
    team,
)

app_name = "approvals"

of_one_request = [
    path("", request.request_detail, name="request-detail"),
    path("changes/", request.request_changes, name="request-changes"),
    path("claim/", request_actions.request_claim, name="request-claim"),
    path("release/", request_actions.request_release, name="request-release"),
    path("comment/", request_actions.request_comment, name="request-comment"),
    path("delegate/", request_actions.request_delegate, name="request-delegate"),
    path("reassign/", request_actions.request_reassign, name="request-reassign"),
    path("extend/", request_actions.request_extend, name="request-extend"),
    path("withdraw/", request_actions.request_withdraw, name="request-withdraw"),
    path("break-glass/", request_actions.request_break_glass, name="request-break-glass"),
    path("history/", history.request_history, name="request-history"),
    path("history.json", history.request_history_json, name="request-history-json"),
    path("history.csv", history.request_history_csv, name="request-history-csv"),
    path("files/<uuid:attachment_id>/", history.request_attachment, name="request-attachment"),
]

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("inbox/done/export.csv", inbox.done_export, name="done-export"),
    path("inbox/views/keep/", saved_views.view_save, name="view-save"),
    path("inbox/views/<uuid:view_id>/delete/", saved_views.view_delete, name="view-delete"),
    path("inbox/<str:box>/", inbox.inbox, name="inbox-box"),
    path("inbox/<str:box>/poll/", inbox.inbox_poll, name="inbox-poll"),
    path("requests/<uuid:request_id>/", include(of_one_request)),
    path("link/<str:token>/", link.link_open, name="link"),
    path("confirm/<uuid:request_id>/", link.link_confirm, name="link-confirm"),
    path("bulk/", bulk.bulk, name="bulk"),
    path("team/", team.team, name="team"),
    path("team/open/", team.team_open, name="team-open"),
    path("away/", away.away, name="away"),
    path("away/absences/", away.absence_start, name="absence-start"),
    path("away/absences/<uuid:absence_id>/end/", away.absence_end, name="absence-end"),
    path("away/delegations/", away.delegation_start, name="delegation-start"),
    path("away/delegations/<uuid:delegation_id>/end/", away.delegation_end, name="delegation-end"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("callbacks/", callback.callback_list, name="callback-list"),
    path("callbacks/<uuid:execution_id>/<str:operation_id>/", callback.callback_decide, name="callback-decide"),
]
