"""The form of a request: from what an author writes, to what people fill in, to what the handler receives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from pydantic import BaseModel, Field

from approvals import ApprovalError, read_attachment
from approvals.sdk.decision import Decision
from approvals.sdk.form_schema import form_schema
from approvals.services.exceptions import Conflict, InvalidAnswer
from approvals.services.forms import answer_of, build_form, form_data
from tests.approvals.people import opened, user, vote

pytestmark = pytest.mark.django_db


class Colour(StrEnum):
    """An enum of an author's."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Plain:
    """A dataclass with one field of each kind."""

    text: str
    count: int
    ratio: float = 0.5
    sure: bool = False
    day: date | None = None
    money: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    size: Literal["s", "m"] = "s"
    note: str | None = None
    why: str = field(default="", metadata={"description": "One line."})


class Checked(BaseModel):
    """A Pydantic model with constraints."""

    name: Annotated[str, Field(min_length=2, max_length=10, pattern=r"^[a-z]+$")]
    amount: Annotated[int, Field(ge=1, lt=100)]
    price: Decimal = Decimal(3)
    note: str | None = None


class RefundForm(forms.Form):
    """A Django form of an author's, with a rule of its own."""

    amount = forms.DecimalField(max_digits=8, decimal_places=2)
    day = forms.DateField(required=False)

    def clean_amount(self) -> Decimal:
        """Refuse odd amounts."""
        amount: Decimal = self.cleaned_data["amount"]
        if amount > 100:
            raise forms.ValidationError("At most 100.")
        return amount


def refused(schema: Any, data: dict[str, Any], files: dict[str, Any] | None = None) -> dict[str, list[str]]:
    with pytest.raises(InvalidAnswer) as problem:
        answer_of(schema, data, files)
    return problem.value.errors


def test_a_dataclass_becomes_a_form_with_a_field_for_each_of_its_own() -> None:
    schema = form_schema(Plain)
    form = build_form(schema)
    kinds = {name: type(each).__name__ for name, each in form.fields.items()}
    assert kinds == {
        "text": "CharField",
        "count": "IntegerField",
        "ratio": "FloatField",
        "sure": "BooleanField",
        "day": "DateField",
        "money": "DecimalField",
        "colour": "TypedChoiceField",
        "size": "TypedChoiceField",
        "note": "CharField",
        "why": "CharField",
    }
    assert [name for name, each in form.fields.items() if each.required] == ["text", "count"]
    assert form.fields["why"].help_text == "One line."
    given = {
        "text": "a",
        "count": "3",
        "sure": "on",
        "day": "2026-03-01",
        "money": "2.50",
        "colour": "blue",
        "size": "m",
    }
    answer = answer_of(schema, given).data
    assert Decision("approved", data=answer).data_as(Plain).ratio == 0.5
    assert answer == {
        "text": "a",
        "count": 3,
        "sure": True,
        "day": "2026-03-01",
        "money": "2.50",
        "colour": "blue",
        "size": "m",
        "note": "",
        "why": "",
    }


def test_a_pydantic_model_keeps_its_constraints() -> None:
    schema = form_schema(Checked)
    assert answer_of(schema, {"name": "abc", "amount": 5, "price": "2"}).data["price"] == "2"
    assert set(refused(schema, {"name": "A", "amount": 100, "price": "x"})) == {"name", "amount", "price"}
    above_one = form_schema({"properties": {"a": {"type": "integer", "exclusiveMinimum": 1}}})
    assert refused(above_one, {"a": 1}) == {"a": ["This must be more than 1."]}


def test_a_django_form_keeps_its_own_rules() -> None:
    schema = form_schema(RefundForm)
    assert answer_of(schema, {"amount": "99.50", "day": "2026-03-01"}).data == {"amount": "99.50", "day": "2026-03-01"}
    assert refused(schema, {"amount": "100.50"}) == {"amount": ["At most 100."]}


def test_a_django_form_that_is_gone_is_a_conflict_and_not_a_crash() -> None:
    with pytest.raises(Conflict, match=r"orders\.forms\.Gone"):
        build_form({"django_form": "orders.forms.Gone", "labels": {}})
    # Only forms are taken from a path that the database names.
    with pytest.raises(Conflict):
        build_form({"django_form": "os.system", "labels": {}})


def test_what_a_page_posts_is_read_by_its_prefix() -> None:
    posted = QueryDict("data-amount=5&data-tags=a&data-tags=b&comment=x&operation_id=y")
    assert dict(form_data(posted).lists()) == {"amount": ["5"], "tags": ["a", "b"]}
    schema = form_schema(
        {"properties": {"amount": {"type": "integer"}, "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}}}}
    )
    assert answer_of(schema, form_data(posted)).data == {"amount": 5, "tags": ["a", "b"]}
    assert build_form(schema, posted).is_valid()


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        ({"type": "integer"}, "1.5", "whole number"),
        ({"type": "integer"}, 2**60, "less than or equal"),
        ({"type": "integer", "minimum": 3}, 2, "greater than or equal"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "number"}, "inf", "number"),
        ({"type": "number", "multipleOf": 0.5}, 0.7, "multiple of 0.5"),
        ({"type": "string", "maxLength": 3}, "abcd", "at most 3"),
        ({"type": "string"}, "x" * 10_001, "at most 10000"),
        ({"type": "string"}, "a\x00b", "Null characters"),
        ({"type": "string", "pattern": "^a+$"}, "b", "does not have the form"),
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 501, "at most 500"),
        ({"type": "string", "format": "email"}, "nobody", "valid email"),
        ({"type": "string", "format": "uri"}, "javascript:alert(1)", "valid URL"),
        ({"type": "string", "format": "date"}, "tomorrow", "valid date"),
        ({"type": "string", "format": "user"}, "nobody", "no user named"),
        ({"type": "string", "format": "uuid"}, "x", "valid UUID"),
        ({"type": "string", "format": "decimal", "x-currency": "EUR"}, "1.234", "2 decimal places"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "valid choice"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}, ["a"], "at least 2"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1}, ["a", "b"], "at most 1"),
        ({"type": "string"}, ["a"], "must be text"),
        ({"type": "boolean"}, {"a": 1}, "true or false"),
    ],
)
def test_a_value_that_does_not_fit_is_named(rule: dict[str, Any], value: Any, problem: str) -> None:
    errors = refused(form_schema({"properties": {"a": rule}}), {"a": value})
    assert problem in errors["a"][0]


def test_what_cannot_be_changed_keeps_its_value_whatever_is_sent() -> None:
    schema = form_schema({"properties": {"limit": {"type": "integer", "default": 5, "readOnly": True}}})
    assert answer_of(schema, {"limit": 500}).data == {"limit": 5}


def test_money_and_people_are_typed() -> None:
    user("ana")
    schema = form_schema(
        {
            "properties": {
                "amount": {"type": "string", "format": "decimal", "x-currency": "EUR"},
                "who": {"type": "string", "format": "user"},
            },
            "required": ["amount"],
        }
    )
    assert build_form(schema).fields["amount"].label == "Amount (EUR)"
    assert answer_of(schema, {"amount": "12.50", "who": "ana"}).data == {"amount": "12.50", "who": "ana"}


def test_a_file_is_capped_hashed_and_handed_over_by_reference() -> None:
    rule = {"type": "string", "format": "file", "x-maxBytes": 10, "x-accept": [".pdf"]}
    schema = form_schema({"properties": {"scan": rule}, "required": ["scan"]})
    answer = answer_of(schema, {}, {"scan": SimpleUploadedFile("../../a.pdf", b"%PDF")})
    (stored,) = answer.files
    assert (stored.name, stored.size, answer.data["scan"]["attachment"]) == ("a.pdf", 4, str(stored.id))
    assert "at most 10" in refused(schema, {}, {"scan": SimpleUploadedFile("a.pdf", b"x" * 11)})["scan"][0]
    assert "must end in .pdf" in refused(schema, {}, {"scan": SimpleUploadedFile("a.exe", b"x")})["scan"][0]
    assert set(refused(schema, {})) == {"scan"}


def test_a_handler_reads_a_file_that_came_with_an_answer() -> None:
    ana = user("ana", "finance")
    request = opened(form={"properties": {"scan": {"type": "string", "format": "file"}}})
    data = vote(request, ana, files={"scan": SimpleUploadedFile("a.pdf", b"%PDF")}).vote.data
    assert read_attachment(data["scan"]) == b"%PDF"
    for wrong in ({}, {"attachment": "x"}, {"attachment": str(request.pk)}):
        with pytest.raises(ApprovalError):
            read_attachment(wrong)


def test_hostile_labels_stay_texts() -> None:
    schema = form_schema({"properties": {"a": {"type": "string", "title": "<script>alert(1)</script>"}}})
    assert "<script>" not in build_form(schema).as_p()
