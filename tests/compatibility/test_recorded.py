"""Our side gives what the AWS SDK gave when `python -m tests.compatibility --record` was run last."""

from __future__ import annotations

import json

from tests.compatibility.__main__ import RECORDED, differences, ours
from tests.compatibility.cases import CASES


def test_handlers_of_the_aws_sdk_give_the_same_results_and_events_here() -> None:
    recorded = json.loads(RECORDED.read_text())["cases"]

    assert list(differences(recorded, ours())) == []
    assert [each for each in recorded.values() if "problem" in each] == []
    assert set(recorded) == {case.name for case in CASES}
