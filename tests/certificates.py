"""Certificates for tests, made by the `openssl` command: a private authority and a server it vouches for."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Authority:
    """A private authority, valid for a day. `pem` is its certificate."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        if shutil.which("openssl") is None:
            # Nothing but git, make and python3 may be needed for the tests.
            pytest.skip("the openssl command is needed to make certificates")
        folder.mkdir(parents=True)
        self._folder = folder
        self._key, self._certificate = folder / "ca.key", folder / "ca.pem"
        self._openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"),
            *("-addext", "keyUsage=critical,keyCertSign", "-keyout", self._key, "-out", self._certificate),
        )
        self.pem = self._certificate.read_text(encoding="ascii")

    def server(self, address: str = "IP:127.0.0.1") -> ssl.SSLContext:
        """TLS for a server at that address, with a certificate this authority signed."""
        key, request, certificate, extensions = (self._folder / f"server.{end}" for end in ("key", "csr", "pem", "ext"))
        extensions.write_text(f"subjectAltName={address}\n", encoding="ascii")
        self._openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", key, "-out", request),
        )
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", self._certificate, "-CAkey", self._key, "-days", "1"),
            *("-CAcreateserial", "-extfile", extensions, "-out", certificate),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def _openssl(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
