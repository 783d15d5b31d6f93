"""What the API refuses: who may not, and what nobody may send. The log never holds a secret."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.utils import timezone

from durable_engine.api import urls
from durable_engine.models import ApiKey, AuditEntry, Callback, Execution
from durable_engine.services.api_keys import KeyPair, revoke_api_key, rotate_api_key
from tests.api.calls import callback_id, refused, start, status, waiting
from tests.api.site import OPERATOR, REGION, Site, make_bearer, make_key
from tests.faults.stack import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

FUNCTIONS = "/2015-03-31/functions"
INVOKE = f"{FUNCTIONS}/greet/invocations"


def signed(site: Site, pair: KeyPair, path: str = FUNCTIONS, body: bytes = b"", method: str = "GET") -> dict[str, str]:
    """The headers of a request that is signed by AWS's own signer."""
    request = AWSRequest(method=method, url=f"{site.url}{path}", data=body)
    SigV4Auth(Credentials(pair.key.access_key_id, pair.secret), "lambda", REGION).add_auth(request)
    return {name: str(value) for name, value in request.prepare().headers.items() if name != "Content-Length"}


def answer(site: Site, *request: Any, **options: Any) -> tuple[str, int]:
    """Send a request that must be refused; the type and the status."""
    code, headers, body = site.request(*request, **options)
    told = json.loads(body)
    assert told["message"] == told["Message"]
    assert headers["x-amzn-RequestId"]
    assert headers["Cache-Control"] == "no-store"
    return str(headers["x-amzn-ErrorType"]), code


class TestWhoMayNot:
    def test_an_unsigned_request_is_refused_and_told_how_to_sign(self, site: Site) -> None:
        assert answer(site, "GET", FUNCTIONS) == ("MissingAuthenticationTokenException", 403)
        assert answer(site, "POST", INVOKE, b"{}") == ("MissingAuthenticationTokenException", 403)
        assert answer(site, "POST", "/api/v1/executions", b"{}") == ("MissingAuthenticationTokenException", 403)

    def test_a_login_of_the_pages_is_no_right_here(self, site: Site) -> None:
        headers = {"Cookie": "perdure_sessionid=abc"}
        assert answer(site, "GET", FUNCTIONS, b"", headers) == ("MissingAuthenticationTokenException", 403)

    def test_a_signature_holds_for_its_request_alone(self, site: Site, pair: KeyPair) -> None:
        body = b'{"name": "Ana"}'
        headers = signed(site, pair, INVOKE, body, "POST")
        refusal = ("InvalidSignatureException", 403)

        assert site.request("POST", INVOKE, body, headers)[0] == 200
        assert answer(site, "POST", INVOKE, b'{"name": "Bob"}', headers) == refusal
        assert answer(site, "POST", f"{FUNCTIONS}/sleep/invocations", body, headers) == refusal
        assert answer(site, "POST", f"{INVOKE}?Qualifier=1", body, headers) == refusal
        assert answer(site, "POST", INVOKE, body, {**headers, "X-Amz-Date": "20200101T000000Z"}) == refusal
        assert answer(site, "POST", INVOKE, body, {**headers, "X-Amz-Tenant-Id": "other"}) == refusal
        assert answer(site, "POST", INVOKE, body, {**headers, "Host": "localhost"}) == refusal

    def test_an_old_date_is_refused(self, site: Site, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
        old = timezone.now() - timedelta(minutes=6)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: old)
        headers = signed(site, pair)
        monkeypatch.undo()
        assert old.strftime("%Y%m%dT%H%M%SZ") in headers.values()

        assert answer(site, "GET", FUNCTIONS, b"", headers) == ("InvalidSignatureException", 403)

    def test_unknown_revoked_and_expired_keys_are_refused_at_once(self, site: Site) -> None:
        revoked, expired = make_key("revoked"), make_key("expired")
        for pair in (revoked, expired):
            assert site.request("GET", FUNCTIONS, b"", signed(site, pair))[0] == 200
        revoke_api_key(revoked.key.access_key_id, actor=OPERATOR)
        ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=timezone.now())

        for pair, code in ((revoked, "UnrecognizedClientException"), (expired, "ExpiredTokenException")):
            assert refused(site.client(pair).list_functions)[:2] == (code, 403)
            bearer = {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}
            assert answer(site, "GET", FUNCTIONS, b"", bearer) == (code, 403)
        unknown = KeyPair(ApiKey(access_key_id="PDKEYNOTTHERE"), "x" * 40)
        assert refused(site.client(unknown).list_functions)[:2] == ("UnrecognizedClientException", 403)

    def test_a_wrong_secret_is_refused_and_the_old_one_is_good_during_a_rotation(self, site: Site) -> None:
        pair = make_key("rotated")
        wrong = KeyPair(pair.key, "x" * 40)
        assert refused(site.client(wrong).list_functions)[:2] == ("InvalidSignatureException", 403)
        bearer = {"Authorization": f"Bearer {pair.key.access_key_id}.{'x' * 40}"}
        assert answer(site, "GET", FUNCTIONS, b"", bearer) == ("UnrecognizedClientException", 403)

        new = rotate_api_key(pair.key.access_key_id, actor=OPERATOR)
        for each in (pair, new):
            assert site.client(each).list_functions()["Functions"]

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ("Basic dXNlcjpwYXNz", "IncompleteSignatureException"),
            ("AWS4-HMAC-SHA256 Credential=x", "IncompleteSignatureException"),
            ("Bearer x", "UnrecognizedClientException"),
            ("Bearer PDKEY", "UnrecognizedClientException"),
            ("Bearer \u00e4.\u00f6", "UnrecognizedClientException"),
        ],
    )
    def test_a_header_of_no_known_form_is_refused(self, site: Site, header: str, code: str) -> None:
        found, number = answer(site, "GET", FUNCTIONS, b"", {"Authorization": header})
        assert (found, number // 100) == (code, 4)


class TestWhatAKeyIsFor:
    OPERATIONS = {  # noqa: RUF012 - the table of the test
        "Invoke": "start",
        "GetFunction": "read",
        "GetFunctionConfiguration": "read",
        "ListFunctions": "read",
        "ListDurableExecutionsByFunction": "read",
        "GetDurableExecution": "read",
        "GetDurableExecutionHistory": "read",
        "StopDurableExecution": "stop",
        "PauseDurableExecution": "stop",
        "ResumeDurableExecution": "stop",
        "DeleteDurableExecution": "stop",
        "CheckpointDurableExecution": "checkpoint",
        "GetDurableExecutionState": "checkpoint",
        "SendDurableExecutionCallbackSuccess": "callback",
        "SendDurableExecutionCallbackFailure": "callback",
        "SendDurableExecutionCallbackHeartbeat": "callback",
    }

    def calls(self, client: Any, arn: str, callback: str) -> dict[str, tuple[Any, dict[str, Any]]]:
        """A good call of every operation, with the function `ask` in it."""
        execution, function, answer = {"DurableExecutionArn": arn}, {"FunctionName": "ask"}, {"CallbackId": callback}
        held = execution | {"CheckpointToken": "QUJD"}
        return {
            "Invoke": (client.invoke, function),
            "GetFunction": (client.get_function, function),
            "GetFunctionConfiguration": (client.get_function_configuration, function),
            "ListFunctions": (client.list_functions, {}),
            "ListDurableExecutionsByFunction": (client.list_durable_executions_by_function, function),
            "GetDurableExecution": (client.get_durable_execution, execution),
            "GetDurableExecutionHistory": (client.get_durable_execution_history, execution),
            "StopDurableExecution": (client.stop_durable_execution, execution),
            "PauseDurableExecution": (client.pause_durable_execution, execution),
            "ResumeDurableExecution": (client.resume_durable_execution, execution),
            "DeleteDurableExecution": (client.delete_durable_execution, execution),
            "CheckpointDurableExecution": (
                client.checkpoint_durable_execution,
                execution | {"CheckpointToken": "QUJD"},
            ),
            "GetDurableExecutionState": (client.get_durable_execution_state, held),
            "SendDurableExecutionCallbackSuccess": (client.send_durable_execution_callback_success, answer),
            "SendDurableExecutionCallbackFailure": (client.send_durable_execution_callback_failure, answer),
            "SendDurableExecutionCallbackHeartbeat": (client.send_durable_execution_callback_heartbeat, answer),
        }

    def test_the_table_has_every_operation_with_its_scope(self) -> None:
        assert dict(declared()) == self.OPERATIONS

    def test_without_the_scope_or_for_another_function_nothing_is_done(self, site: Site, client: Any) -> None:
        arn = start(client, "ask")
        callback = callback_id(client, arn)
        before = Execution.objects.count(), AuditEntry.objects.filter(action="start_execution").count()
        for operation, scope in self.OPERATIONS.items():
            others = {"start", "read", "stop", "callback", "checkpoint"} - {scope}
            call, options = self.calls(site.client(make_key("lacks", scopes=others)), arn, callback)[operation]
            assert refused(call, **options)[:2] == ("AccessDeniedException", 403), operation
            if operation == "ListFunctions":
                continue
            call, options = self.calls(site.client(make_key("other", functions=["greet"])), arn, callback)[operation]
            assert refused(call, **options)[:2] == ("AccessDeniedException", 403), operation
        assert (Execution.objects.count(), AuditEntry.objects.filter(action="start_execution").count()) == before
        assert status(client, arn) == "RUNNING"
        assert Callback.objects.get(execution_id=arn.rpartition("/")[2]).status == "STARTED"

    def test_a_key_for_some_functions_sees_only_those(self, site: Site) -> None:
        client = site.client(make_key("some", functions=["gre*", "ask"]))
        assert {view["FunctionName"] for view in client.list_functions()["Functions"]} == {"ask", "greet"}

    def test_a_history_shows_callback_ids_only_to_who_may_complete_them(self, site: Site, client: Any) -> None:
        arn = start(client, "ask")
        callback = callback_id(client, arn)
        _, _, body = site.request(
            "GET",
            f"/2025-12-01/durable-executions/{arn.replace('/', '%2F')}/history",
            b"",
            make_bearer("reader", scopes=["read"]),
        )
        assert b"CallbackStarted" in body
        assert callback.encode() not in body

    def test_a_callback_id_completes_its_own_callback_and_nothing_else(self, client: Any) -> None:
        mine, other = start(client, "ask"), start(client, "ask")
        callback = callback_id(client, mine)
        waiting(client, other)
        client.send_durable_execution_callback_success(CallbackId=callback, Result=b"1")

        until(lambda: status(client, mine) == "SUCCEEDED", "its own execution goes on")
        assert status(client, other) == "RUNNING"
        # It is no name of an execution, and an execution's name is no callback id.
        refusal = ("InvalidParameterValueException", 400)
        assert refused(client.stop_durable_execution, DurableExecutionArn=callback)[:2] == refusal
        succeed = client.send_durable_execution_callback_success
        assert refused(succeed, CallbackId=other.replace(":", "").replace("$", "").replace("-", ""))[:2] == refusal

    def test_too_many_requests_in_a_second_are_put_off(self, site: Site) -> None:
        bearer = make_bearer("slow", requests_per_second=5)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: site.request("GET", FUNCTIONS, b"", bearer), range(40)))
        codes = [code for code, _, _ in found]
        assert set(codes) == {200, 429}
        limited = next(headers for code, headers, _ in found if code == 429)
        assert (limited["x-amzn-ErrorType"], limited["Retry-After"]) == ("TooManyRequestsException", "1")


def declared() -> list[tuple[str, str]]:
    """Every operation that the URLs lead to, with its scope."""
    views = [pattern.callback for pattern in urls.urlpatterns]
    actions = [action for view in views for action in getattr(view, "actions", {}).values()]
    return [(action.operation, action.required_scope) for action in actions]


class TestWhatNobodyMaySend:
    DEEP = b"[" * 100_000 + b"]" * 100_000

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[1]", b'"x"', DEEP, b'{"a": NaN}', b'{"Error": 1' + b"}" * 9])
    def test_a_body_that_is_no_json_object_is_refused(self, site: Site, client: Any, body: bytes) -> None:
        arn = start(client)
        path = f"/2025-12-01/durable-executions/{arn.replace('/', '%2F')}/stop"
        assert answer(site, "POST", path, body, make_bearer()) == ("InvalidParameterValueException", 400)
        assert status(client, arn) == "RUNNING"

    @pytest.mark.parametrize("body", [b"{", b"\xff", DEEP, b"1e999", b"NaN"])
    def test_a_payload_that_is_no_json_is_refused(self, site: Site, body: bytes) -> None:
        before = Execution.objects.count()
        found, number = answer(site, "POST", INVOKE, body, make_bearer())
        assert number == 400
        assert found in {"InvalidRequestContentException", "InvalidParameterValueException"}
        assert Execution.objects.count() == before

    @pytest.mark.parametrize(
        ("path", "limit"),
        [
            (INVOKE, 6_291_456),
            ("/2025-12-01/durable-execution-callbacks/QUJD/succeed", 262_144),
            ("/2025-12-01/durable-execution-callbacks/QUJD/fail", 1_048_576),
            ("/2025-12-01/durable-executions/arn/stop", 1_048_576),
            ("/api/v1/executions", 8_388_608),
        ],
    )
    def test_a_body_over_the_limit_is_refused(self, site: Site, path: str, limit: int) -> None:
        assert answer(site, "POST", path, b"x" * (limit + 1), make_bearer()) == ("RequestTooLargeException", 413)

    def test_a_body_in_chunks_is_refused(self, site: Site) -> None:
        headers = {**make_bearer(), "Transfer-Encoding": "chunked"}
        assert answer(site, "POST", INVOKE, b"2\r\n{}\r\n0\r\n\r\n", headers) == ("LengthRequiredException", 411)

    def test_another_method_or_path_is_refused_in_the_same_form(self, site: Site) -> None:
        assert answer(site, "DELETE", FUNCTIONS, b"", make_bearer()) == ("MethodNotAllowedException", 405)
        assert answer(site, "GET", "/2015-03-31/layers", b"", make_bearer()) == ("UnknownOperationException", 404)

    def test_an_error_object_with_other_fields_is_refused(self, site: Site, client: Any) -> None:
        arn = start(client, "ask")
        path = f"/2025-12-01/durable-execution-callbacks/{callback_id(client, arn).replace('/', '%2F')}/fail"
        for error in ({"Extra": 1}, {"ErrorMessage": 1}, {"StackTrace": "text"}, {"ErrorData": "x" * 40_000}):
            body = json.dumps(error).encode()
            assert answer(site, "POST", path, body, make_bearer()) == ("InvalidParameterValueException", 400)
        assert status(client, arn) == "RUNNING"


def test_the_log_names_requests_and_keys_and_holds_no_secret(site: Site, client: Any, pair: KeyPair) -> None:
    arn = start(client, "ask")
    callback = callback_id(client, arn)
    client.send_durable_execution_callback_success(CallbackId=callback, Result=b'"hunter2"')
    refused(client.send_durable_execution_callback_success, CallbackId=callback, Result=b'"hunter2"')
    path = f"/2025-12-01/durable-execution-callbacks/{callback.replace('/', '%2F')}/succeed"
    bearer = {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}
    _, headers, _ = site.request("POST", path, b'"hunter2"', bearer)
    site.request("POST", path, b'"hunter2"')

    until(lambda: headers["x-amzn-RequestId"] in site.web_log, "the line of the request")
    log = site.web_log
    assert f"SendDurableExecutionCallbackSuccess {pair.key.access_key_id}" in log
    for secret in (pair.secret, callback, callback.replace("/", "%2F"), "hunter2"):
        assert secret not in log


def test_a_secret_that_was_encrypted_with_another_key_says_what_to_do(site: Site, pair: KeyPair) -> None:
    ApiKey.objects.filter(pk=pair.key.pk).update(secret=b"\x01" + b"0" * 60)
    code, _, message = refused(site.client(pair).list_functions)
    assert code == "UnrecognizedClientException"
    assert "Rotate the key" in message


def test_unsigned_calls_are_let_in_only_where_that_was_asked_for(site: Site) -> None:
    site.stop_web()
    try:
        site.start_web(DURABLE_API_ANONYMOUS="1")
        assert site.request("GET", FUNCTIONS)[0] == 200
        _, headers, _ = site.request("POST", INVOKE, b"{}", {"X-Amz-Invocation-Type": "Event"})
        arn = headers["X-Amz-Durable-Execution-Arn"]
        entry = AuditEntry.objects.get(execution_id=arn.rpartition("/")[2])
        assert entry.actor == "unsigned call"
        # Who says who they are is still asked for the proof.
        assert answer(site, "GET", FUNCTIONS, b"", {"Authorization": "Bearer x.y"})[1] == 403
    finally:
        site.stop_web()
        site.start_web()
