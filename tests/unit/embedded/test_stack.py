"""The port that `manage.py up` listens on."""

import socket

import pytest

from durable_engine.embedded import stack


def test_a_port_that_is_free_is_taken_as_asked() -> None:
    with stack.listen(None) as found:
        port = found.getsockname()[1]
    with stack.listen(port) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)


def test_a_port_that_is_taken_is_refused_with_another_one_as_example() -> None:
    with stack.listen(None) as other:
        port = other.getsockname()[1]
        with pytest.raises(stack.PortTaken, match=rf"PORT: {port} cannot be used .* Example: PORT={port + 1}"):
            stack.listen(port)


def test_without_a_wish_the_next_free_port_is_taken() -> None:
    with stack.listen(None) as first, stack.listen(None) as second:
        assert first.getsockname()[1] < second.getsockname()[1]


def test_a_port_in_use_on_all_addresses_counts_as_taken() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        with pytest.raises(stack.PortTaken):
            stack.listen(other.getsockname()[1])
