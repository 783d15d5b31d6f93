from __future__ import annotations

from durable_engine.core.identifiers import operation_id, prefix_below


def test_ids_are_readable_paths() -> None:
    assert operation_id("", 3) == "3"
    assert operation_id(prefix_below("3"), 1) == "3-1"
    assert operation_id(prefix_below("3-1"), 12) == "3-1-12"


def test_ids_of_deep_operations_are_hashed_to_64_characters_and_stay_distinct() -> None:
    deep = "1-" * 31
    at_the_limit = operation_id(deep, 11)
    beyond = operation_id(deep, 111)

    assert at_the_limit == deep + "11"
    assert len(beyond) == 64
    assert beyond == operation_id(deep, 111) != operation_id(deep, 112)
    assert len(operation_id(prefix_below(beyond), 1)) == 64
