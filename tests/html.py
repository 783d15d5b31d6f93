"""Reading pages as a browser does: elements and their attributes, however the template is laid out."""

from html.parser import HTMLParser


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append({"tag": tag} | {name: value or "" for name, value in attrs})


def elements(html: str, **wanted: str) -> list[dict[str, str]]:
    """The attributes of every element that has these values, `class_` being the class."""
    parser = _Elements()
    parser.feed(html)
    values = {name.rstrip("_"): value for name, value in wanted.items()}
    return [each for each in parser.found if values.items() <= each.items()]


def element(html: str, **wanted: str) -> dict[str, str]:
    """The attributes of the one element that has these values."""
    (found,) = elements(html, **wanted)
    return found


def words(html: str) -> str:
    """The page with all white space squeezed, for texts that the template breaks over lines."""
    return " ".join(html.split())
