"""Small stacked bars as one SVG: geometry in attributes, colour by class, so that it stands under a strict CSP."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString

HEIGHT = 100.0
# A bar that stands for anything at all can be seen.
LEAST = 3.0
GAP = 0.14


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: how many of which tone, from the bottom up, and what hovering says."""

    parts: Sequence[tuple[str, int]]
    title: str = ""

    @property
    def total(self) -> int:
        """All its parts."""
        return sum(count for _, count in self.parts)


def bars_svg(bars: Sequence[Bar], label: str, css_class: str = "bars") -> SafeString:
    """Return the bars side by side, scaled to the tallest. `label` says for people who cannot see it what it shows."""
    top = max((bar.total for bar in bars), default=0)
    drawn = "".join(_bar(place, bar, top) for place, bar in enumerate(bars) if bar.total)
    return SafeString(
        f'<svg class="{css_class}" viewBox="0 0 {len(bars)} {HEIGHT:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{drawn}</svg>'
    )


def strip_svg(tones: Sequence[tuple[str, str]], label: str) -> SafeString:
    """Return one small square for each (tone, what hovering says), in a row."""
    drawn = "".join(
        f'<rect class="bar-{tone}" x="{place * 6 + 1}" y="1" width="5" height="10" rx="1">'
        f"<title>{escape(title)}</title></rect>"
        for place, (tone, title) in enumerate(tones)
    )
    width = max(len(tones) * 6 + 1, 1)
    return SafeString(
        f'<svg class="strip" viewBox="0 0 {width} 12" width="{width * 1.5:g}" height="18" role="img"'
        f' aria-label="{escape(label)}">{drawn}</svg>'
    )


def _bar(place: int, bar: Bar, top: int) -> str:
    title = f"<title>{escape(bar.title)}</title>" if bar.title else ""
    return f"<g>{title}{''.join(_parts(place, bar, top))}</g>"


def _parts(place: int, bar: Bar, top: int) -> Iterator[str]:
    y = HEIGHT
    # The whole column takes the pointer, not only what is drawn of it.
    yield f'<rect class="bar-room" x="{place}" y="0" width="1" height="{HEIGHT:g}"/>'
    for tone, count in bar.parts:
        if count:
            height = max(count / top * HEIGHT, LEAST)
            y = max(y - height, 0.0)
            yield (
                f'<rect class="bar-{tone}" x="{place + GAP / 2:.2f}" y="{y:.2f}" width="{1 - GAP:.2f}"'
                f' height="{height:.2f}"/>'
            )
