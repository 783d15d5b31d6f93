"""Stack traces for people: the application's own frames to read, those of libraries folded away."""

import re
import textwrap
from collections.abc import Sequence

_LIBRARY = re.compile(r"site-packages|dist-packages|/lib(?:64)?/python\d|[\\/]durable_engine[\\/]|File \"<frozen ")


def own_frames(stack: Sequence[str]) -> Sequence[str]:
    """The frames of the handler's own code; all of them when none is known to be a library's, or every one is."""
    own = [frame for frame in stack if not _LIBRARY.search(frame)]
    return own or stack


def library_frames(stack: Sequence[str]) -> Sequence[str]:
    """The frames that `own_frames` leaves out."""
    return [frame for frame in stack if _LIBRARY.search(frame)] if own_frames(stack) != stack else []


def frames_text(frames: Sequence[str]) -> str:
    """Frames as one text, without the indentation all share."""
    return textwrap.dedent("\n".join(line.rstrip("\n") for line in frames))
