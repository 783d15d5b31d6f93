"""The session of docs/service-api.md with the AWS command line, as it is typed there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from durable_engine.config.env import BASE_DIR
from durable_engine.services.api_keys import KeyPair
from tests.api.site import REGION, Site
from tests.faults.stack import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

AWS = shutil.which("aws", path=str(Path(sys.executable).parent))
SESSION = re.compile(r"^## AWS command line\n.*?^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(AWS is None, reason="awscli is not installed beside this Python")
def test_the_session_of_the_documentation_works_as_typed(
    site: Site, pair: KeyPair, client: Any, tmp_path: Path
) -> None:
    found = SESSION.search((BASE_DIR / "docs/service-api.md").read_text())
    assert found is not None
    # The documentation asks a person to look before the next line; here the script looks.
    script = found[1].replace("document-approval", "ask").replace("http://127.0.0.1:8000", site.url)
    run_json = tmp_path / ".perdure" / "run.json"
    run_json.parent.mkdir()
    run_json.write_text(
        json.dumps({"access_key_id": pair.key.access_key_id, "secret_access_key": pair.secret, "region": REGION})
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {"PATH": f"{Path(AWS or '').parent}:{env['PATH']}", "HOME": str(tmp_path), "AWS_PAGER": ""}
    outcome = subprocess.run(
        ["sh", "-eux", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False
    )

    assert outcome.returncode == 0, outcome.stderr
    assert '"Status": "RUNNING"' in outcome.stdout
    assert '"EventType": "CallbackStarted"' in outcome.stdout
    names = ("report-7", "report-8")
    listed = client.list_durable_executions_by_function(FunctionName="ask")["DurableExecutions"]
    arns = {row["DurableExecutionName"]: row["DurableExecutionArn"] for row in listed}
    answered, stopped = (arns[name] for name in names)
    until(lambda: client.get_durable_execution(DurableExecutionArn=answered)["Status"] == "SUCCEEDED", "answered")
    assert client.get_durable_execution(DurableExecutionArn=answered)["Result"] == json.dumps('{"approved": true}')
    assert client.get_durable_execution(DurableExecutionArn=stopped)["Status"] == "STOPPED"
