"""Running a module as a process of its own."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lab.process import claimed_port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is claimed")
def test_a_claimed_port_is_for_the_module_alone() -> None:
    """Modules that were started side by side took each other's ports between the choice and the start."""
    with ExitStack() as claims:
        port = claimed_port(claims)
        for _ in range(2):  # a restart takes it again
            HTTPServer(("0.0.0.0", port), BaseHTTPRequestHandler).server_close()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
