"""Finds the one file of an installed package that pages load: the bundle of Plotly, without its data sets."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

NAME = "plotly/plotly.min.js"


class PlotlyFinder(BaseFinder):
    """Serves `plotly/plotly.min.js` from the installed package."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        # Found without importing it, which takes a second that belongs to no page.
        spec = find_spec("plotly")
        self._folder = Path(next(iter(spec.submodule_search_locations or ()))) / "package_data" if spec else Path()

    def find(self, path: str, find_all: bool = False, **_: Any) -> Any:
        """Return the file's place for its name, and nothing for any other."""
        file = self._folder / "plotly.min.js"
        if path != NAME or not file.is_file():
            return []
        return [str(file)] if find_all else str(file)

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """Yield what `collectstatic` copies."""
        storage = FileSystemStorage(location=self._folder)
        storage.prefix = "plotly"  # type: ignore[attr-defined]  # collectstatic reads it
        if (self._folder / "plotly.min.js").is_file():
            yield "plotly.min.js", storage
