"""The form of a schedule: what people type, and what the service takes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict

from durable_engine.models import CatchUpPolicy, OverlapPolicy
from durable_engine.queries.masking import MASK, holds_mask, masked, masked_keys_of
from durable_engine.queries.schedules import ScheduleView
from durable_engine.services.exceptions import DurableServiceError, FunctionNotFound
from durable_engine.services.recurrence import Recurrence
from durable_engine.services.schedules import ScheduleSpec, checked_rule

UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
CODE = {"autocomplete": "off", "spellcheck": "false"}
# Where the service's names of arguments differ from those of the fields.
FIELDS = {"every_seconds": "every", "input": "input_text"}


class ScheduleForm(forms.Form):
    """What a schedule starts, and when."""

    name = forms.CharField(
        max_length=40,
        help_text="Letters, digits, dashes and underscores. Executions are named after it and their time.",
        widget=forms.TextInput(attrs=CODE),
    )
    function = forms.ChoiceField()
    version = forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Left empty: the newest at each time."
    )
    kind = forms.ChoiceField(
        label="When",
        choices=[("cron", "By a cron expression"), ("every", "At a fixed distance")],
        initial="cron",
        widget=forms.RadioSelect,
    )
    cron = forms.CharField(
        required=False,
        max_length=120,
        label="Cron expression",
        initial="0 7 * * *",
        help_text="Minute, hour, day of the month, month, weekday: 30 7 * * MON-FRI is half past seven on workdays.",
        widget=forms.TextInput(attrs={**CODE, "class": "mono"}),
    )
    timezone = forms.CharField(
        required=False,
        max_length=64,
        label="Time zone",
        initial="UTC",
        help_text="Daylight saving is kept: seven stays seven.",
        widget=forms.TextInput(attrs={**CODE, "list": "zones"}),
    )
    every = forms.IntegerField(required=False, min_value=1, max_value=10**9, initial=1, label="Every")
    unit = forms.ChoiceField(choices=[(unit, unit) for unit in UNITS], initial="hours", label="Unit")
    input_text = forms.CharField(
        label="Input (JSON)",
        required=False,
        strip=False,
        initial="{}",
        help_text="Left empty, the input is null.",
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "code-input"}),
    )
    overlap = forms.ChoiceField(
        choices=OverlapPolicy.choices,
        label="While the one before is still live",
        initial=OverlapPolicy.SKIP,
    )
    catch_up = forms.ChoiceField(
        choices=CatchUpPolicy.choices,
        label="Times that were missed because no scheduler was at work",
        initial=CatchUpPolicy.LATEST,
    )
    reason = forms.CharField(
        required=False,
        max_length=1000,
        help_text="Kept in the audit.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        functions: Sequence[str],
        data: QueryDict | None = None,
        *,
        schedule: ScheduleView | None = None,
        function: str = "",
    ) -> None:
        known = {"function": function} if schedule is None else _initial(schedule)
        # What is masked goes to nobody's browser; sent back as it was shown, it stays as it is stored.
        self._stored = "" if schedule is None else schedule.input
        self._shown = known.get("input_text", "")
        super().__init__(data, initial=known)
        field: Any = self.fields["function"]
        # One whose function nobody serves any more can still be looked at and changed.
        names = sorted({*functions, *([schedule.function] if schedule else [])})
        field.choices = [(name, name) for name in names]
        if schedule is not None:
            del self.fields["name"]
        else:
            del self.fields["revision"]

    def clean_input_text(self) -> str:
        """The text that was typed, or what is stored where nothing was changed."""
        text: str = self.cleaned_data["input_text"]
        if self._shown and text.split() == str(self._shown).split():
            return self._stored
        if holds_mask(text):
            raise forms.ValidationError(f"Type the values of the masked fields ({MASK}), or leave all as it was.")
        return text

    def spec(self) -> ScheduleSpec:
        """What the valid form asks for."""
        data: Mapping[str, Any] = self.cleaned_data
        is_cron = data["kind"] == "cron"
        distance = (data["every"] or 0) * UNITS[data["unit"]]
        text = data["input_text"]
        return ScheduleSpec(
            function=data["function"],
            version=data["version"],
            cron=data["cron"] if is_cron else "",
            timezone=(data["timezone"] or "UTC") if is_cron else "UTC",
            every_seconds=None if is_cron else distance,
            input_text=text if text.strip() else "null",
            overlap=data["overlap"],
            catch_up=data["catch_up"],
        )

    def rule(self, now: datetime) -> Recurrence | None:
        """When it would be due; what can't be meant is marked at its field."""
        try:
            return checked_rule(self.spec(), now)
        except DurableServiceError as error:
            self.refuse(error)
            return None

    def refuse(self, error: DurableServiceError) -> None:
        """Show what the service says at the field it names, or above all."""
        is_version = isinstance(error, FunctionNotFound) and error.version is not None
        name = "version" if is_version else (error.field or "").partition(".")[0]
        field = FIELDS.get(name, name)
        self.add_error(field if field in self.fields else None, str(error))


def _initial(schedule: ScheduleView) -> dict[str, Any]:
    seconds = schedule.every_seconds
    unit = next((unit for unit, size in reversed(UNITS.items()) if seconds and seconds % size == 0), "hours")
    return {
        "function": schedule.function,
        "version": schedule.version,
        "kind": "every" if seconds else "cron",
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "every": seconds // UNITS[unit] if seconds else None,
        "unit": unit,
        "input_text": masked(schedule.input, masked_keys_of(schedule.function, schedule.version)),
        "overlap": schedule.overlap,
        "catch_up": schedule.catch_up,
        "revision": schedule.revision,
    }
