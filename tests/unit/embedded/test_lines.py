"""The output of several services on one terminal."""

import io
import re

from durable_engine.embedded.lines import LONGEST_LINE, Printer


class ClosedPipe(io.StringIO):
    """A terminal that nobody reads any more."""

    attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise BrokenPipeError


def test_every_line_carries_the_time_and_the_name() -> None:
    stream = io.StringIO()

    Printer(stream).feed("web", b"first\nsecond\n")

    assert re.fullmatch(r"\d\d:\d\d:\d\d web       \| first\n\d\d:\d\d:\d\d web       \| second\n", stream.getvalue())


def test_a_line_that_comes_in_pieces_is_printed_whole_and_not_mixed_with_others() -> None:
    stream = io.StringIO()
    printer = Printer(stream)

    printer.feed("web", "gr\u00fc".encode()[:3])
    printer.feed("worker", b"done\n")
    printer.feed("web", "gr\u00fcn\n".encode()[3:])

    assert [line[9:] for line in stream.getvalue().splitlines()] == ["worker    | done", "web       | gr\u00fcn"]


def test_a_line_without_end_is_printed_before_it_fills_the_memory() -> None:
    stream = io.StringIO()
    printer = Printer(stream)

    printer.feed("worker", b"x" * (LONGEST_LINE + 1))

    assert len(stream.getvalue()) > LONGEST_LINE


def test_a_closed_terminal_does_not_stop_the_services() -> None:
    stream = ClosedPipe()
    printer = Printer(stream)

    printer.line("web", "first")
    printer.line("web", "second")

    assert stream.attempts == 1


def test_a_file_gets_no_colours() -> None:
    stream = io.StringIO()

    Printer(stream).line("web", "text")

    assert "\x1b" not in stream.getvalue()
