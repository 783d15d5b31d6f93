"""The product's URLs, a view that does nothing and one that commits one row, behind the middleware of pages."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from durable_engine.access import public


@public
@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Answer at once."""
    return HttpResponse(request.body, content_type="application/json")


@public
@csrf_exempt
def commit(request: HttpRequest) -> HttpResponse:
    """Insert the body into a table without an index, in a transaction of its own, and answer."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_commit (body) VALUES (%s)", [request.body.decode()])
    return HttpResponse(request.body, content_type="application/json")


urlpatterns = [path("bare", bare), path("commit", commit), path("", include("durable_engine.config.urls"))]
