import json

import pytest

from dashboard.json_tree import MOST_ITEMS, MOST_NODES, MOST_STRING, tree_of
from dashboard.stack import library_frames, own_frames
from tests.dashboard.corpus import HOSTILE, executable_parts


def test_every_number_and_key_is_kept_as_it_was_stored() -> None:
    tree = tree_of('{"n": 1.10, "big": 123456789012345678901234567890, "n": 2, "e": 1e400, "none": null, "on": true}')
    assert tree is not None
    for token in ("1.10", "123456789012345678901234567890", "1e400", "null", "true"):
        assert f">{token}</span>" in tree
    assert tree.count('<span class="json-key">n</span>') == 2
    assert "6 keys" in tree


def test_the_outermost_levels_are_open_and_what_is_inside_is_folded() -> None:
    tree = tree_of('{"order": {"items": [{"price": 1}]}}')
    assert tree is not None
    assert tree.count("<details open>") == 2
    assert tree.count("<details>") == 2


def test_each_node_carries_what_its_path_is_made_of() -> None:
    tree = tree_of('{"a b": ["x"]}')
    assert tree is not None
    assert 'data-key="&quot;a b&quot;"' in tree
    assert 'data-key="0"' in tree


def test_a_text_keeps_its_escapes() -> None:
    tree = tree_of('["caf\\u00e9 \\n \\"x\\""]')
    assert tree is not None
    assert "&quot;café \\n \\&quot;x\\&quot;&quot;" in tree


@pytest.mark.parametrize("text", ["7", '"text"', "null", "pickled {a}", "[" * 100_000, "x" * 2_000_000])
def test_what_has_nothing_to_fold_has_no_tree(text: str) -> None:
    assert tree_of(text) is None


def test_of_a_long_array_the_first_items_are_shown_and_the_rest_counted() -> None:
    tree = tree_of(json.dumps(list(range(5000))))
    assert tree is not None
    assert tree.count("json-leaf") == MOST_ITEMS
    assert "4,900 more in the raw text" in tree


def test_a_large_value_has_a_bounded_tree() -> None:
    tree = tree_of(json.dumps([[list(range(50))] * 50] * 50))
    assert tree is not None
    assert tree.count("<li") < MOST_NODES * 1.5


def test_deep_nesting_ends_somewhere() -> None:
    tree = tree_of("[" * 500 + "1" + "]" * 500)
    assert tree is not None
    assert "1 more in the raw text" in tree


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    tree = tree_of(json.dumps(["x" * 5000]))
    assert tree is not None
    assert "5,000 characters" in tree
    assert len(tree) < MOST_STRING + 500


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(hostile: str) -> None:
    assert executable_parts(tree_of(json.dumps({hostile: [hostile]})) or "") == []


OWN = 'File "/app/orders/durable_functions.py", line 42, in charge'
LIBRARY = 'File "/app/.venv/lib/python3.11/site-packages/payments/client.py", line 118, in post'


def test_own_frames_are_told_from_those_of_libraries() -> None:
    assert own_frames([OWN, LIBRARY]) == [OWN]
    assert library_frames([OWN, LIBRARY]) == [LIBRARY]


def test_where_all_frames_are_of_one_kind_all_are_shown() -> None:
    assert own_frames([LIBRARY, LIBRARY]) == [LIBRARY, LIBRARY]
    assert library_frames([LIBRARY, LIBRARY]) == []
    assert library_frames([OWN]) == []
