"""TLS to a server whose certificate was signed by a private authority."""

from __future__ import annotations

import re
import ssl

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def authority(pem: str) -> ssl.SSLContext:
    """Certificates in PEM form → TLS that trusts these authorities and no others.

    A form of one line makes spaces, or a written backslash and n, of the line breaks: they are put back. A certificate
    stands for itself, so an issuing authority need not come with its root. ValueError, which repeats nothing of the
    text, when it holds no certificate that can be read. No file is written: the text stays in memory.
    """
    text = pem.replace("\\r", "\n").replace("\\n", "\n")
    lines = []
    for body in _CERTIFICATE.findall(text):
        digits = "".join(body.split())
        wrapped = "\n".join(digits[at : at + 64] for at in range(0, len(digits), 64))
        lines += ["-----BEGIN CERTIFICATE-----", wrapped, "-----END CERTIFICATE-----", ""]
    if not lines:
        raise ValueError("contains no certificate; enter it complete, from -----BEGIN CERTIFICATE----- to its END line")
    try:
        context = ssl.create_default_context(cadata="\n".join(lines))
    except ssl.SSLError:
        raise ValueError("contains a certificate that cannot be read; copy it again, complete") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
