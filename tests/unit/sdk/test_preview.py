from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.preview import FieldMatchMode, PreviewConfig, PreviewField, PreviewMode, build_preview

ORDER = {
    "id": 7,
    "customer": {"name": "Ana", "email": "ana@example.com", "card": {"number": "4242", "month": 3}},
    "lines": [{"sku": "mug", "price": 3}, {"sku": "lamp", "tax": 1}],
}
ALL, NONE = PreviewMode.INCLUDE_ALL, PreviewMode.EXCLUDE_ALL


def fields(*names: str, match: FieldMatchMode = FieldMatchMode.ANYWHERE) -> list[PreviewField]:
    return [PreviewField(name, match) for name in names]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            PreviewConfig(ALL, exclude=fields("customer")),
            {"id": 7, "lines": {"sku": "lamp", "price": 3, "tax": 1}},
        ),
        (PreviewConfig(NONE, include=fields("id", "name")), {"id": 7, "customer": {"name": "Ana"}}),
        (
            PreviewConfig(NONE, include=fields("customer.card", match=FieldMatchMode.PATH)),
            {"customer": {"card": {"number": "4242", "month": 3}}},
        ),
        (PreviewConfig(NONE, include=fields("sku", match=FieldMatchMode.PATH)), None),
        (PreviewConfig(NONE, mask=fields("card")), {"customer": {"card": "***"}}),
        (
            PreviewConfig(NONE, include=fields("email"), mask=fields("email"), mask_string="hidden"),
            {"customer": {"email": "hidden"}},
        ),
        (PreviewConfig(NONE, include=fields("email"), exclude=fields("email"), mask=fields("email")), None),
    ],
)
def test_it_shows_what_it_is_told_to(config: PreviewConfig, expected: dict[str, Any] | None) -> None:
    assert build_preview(ORDER, config) == expected


@pytest.mark.parametrize("value", [None, 3, "text", [{"a": 1}]])
def test_only_a_dict_has_a_preview(value: object) -> None:
    assert build_preview(value, PreviewConfig(ALL)) is None


def test_it_is_never_larger_than_it_may_be() -> None:
    value = {f"field-{number}": "x" * 20 for number in range(100)}

    preview = build_preview(value, PreviewConfig(ALL, max_preview_bytes=200))

    assert preview is not None
    assert list(preview) == [f"field-{number}" for number in range(len(preview))]
    assert 100 < len(json.dumps(preview)) <= 200


@pytest.mark.parametrize("options", [{"max_preview_bytes": 0}, {"max_preview_bytes": "4"}, {"mode": "ALL"}], ids=str)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=rf"PreviewConfig\.{next(iter(options))} must be"):
        PreviewConfig(**{"mode": ALL, **options})
