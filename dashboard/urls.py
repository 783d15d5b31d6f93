"""The URLs of the dashboard."""

from django.urls import path

from dashboard.views import actions, execution, executions, functions, payloads

app_name = "dashboard"

EXECUTION = "executions/<uuid:execution_id>"

urlpatterns = [
    path("", executions.execution_list, name="home"),
    path("executions/", executions.execution_list, name="execution-list"),
    path("executions/poll/", executions.execution_list_poll, name="execution-list-poll"),
    path(f"{EXECUTION}/", execution.execution_detail, {"tab": "overview"}, name="execution-detail"),
    path(f"{EXECUTION}/timeline/", execution.execution_detail, {"tab": "timeline"}, name="execution-timeline"),
    path(f"{EXECUTION}/steps/", execution.execution_detail, {"tab": "steps"}, name="execution-steps"),
    path(f"{EXECUTION}/history/", execution.execution_detail, {"tab": "history"}, name="execution-history"),
    path(f"{EXECUTION}/poll/", execution.execution_poll, name="execution-poll"),
    path(f"{EXECUTION}/input/", payloads.execution_input, name="execution-input"),
    path(f"{EXECUTION}/result/", payloads.execution_result, name="execution-result"),
    path(f"{EXECUTION}/operations/<str:operation_id>/result/", payloads.operation_result, name="operation-result"),
    path(f"{EXECUTION}/events/<int:event_id>/", payloads.event_data, name="event-data"),
    path(f"{EXECUTION}/stop/", actions.execution_stop, name="execution-stop"),
    path(f"{EXECUTION}/pause/", actions.execution_pause, name="execution-pause"),
    path(f"{EXECUTION}/resume/", actions.execution_resume, name="execution-resume"),
    path(f"{EXECUTION}/operations/<str:operation_id>/retry/", actions.operation_retry, name="operation-retry"),
    path("functions/", functions.function_list, name="function-list"),
    path("functions/<str:function>/start/", functions.execution_start, name="execution-start"),
]
