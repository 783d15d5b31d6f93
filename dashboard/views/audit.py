"""Who did what, when and why: as pages and as files."""

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.audit import AuditForm, as_csv, as_json_lines, audit_page
from durable_engine.access import require_permission

EXPORTS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_json_lines, "application/jsonl; charset=utf-8"),
}


@require_permission("durable_engine.view_auditentry")
@never_cache
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    """Show a page of the audit."""
    form = AuditForm.of_request(request.GET)
    return render(request, "dashboard/audit_list.html", audit_page(form, request.GET.get("cursor")))


@require_permission("durable_engine.view_auditentry")
@never_cache
@require_safe
def audit_export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """Send what matches as a file, the newest 100,000 at most."""
    if kind not in EXPORTS:
        raise Http404(f"There is no export {kind[:20]}.")
    form = AuditForm.of_request(request.GET)
    if form.problems:
        # A file of something else than was asked for would be believed.
        return HttpResponse("\n".join(form.problems.values()) + "\n", status=422, content_type="text/plain")
    write, content_type = EXPORTS[kind]
    name = f"audit-{timezone.localtime():%Y%m%d-%H%M%S}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(write(form.filters), content_type=content_type, headers=headers)
