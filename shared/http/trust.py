"""TLS to a server whose certificate was signed by a private authority."""

from __future__ import annotations

import binascii
import re
import ssl

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def authority(pem: str) -> ssl.SSLContext:
    """Certificates in PEM form → TLS that trusts these authorities and no others.

    A one-line input field turns the line breaks into spaces, or into a backslash and an n: both are accepted. A certificate
    is trusted by itself: an issuing authority need not come with its root. ValueError, which repeats nothing of the text,
    when it contains no certificate that can be read. No file is written: the text stays in memory.
    """
    text = pem.replace("\\r", "\n").replace("\\n", "\n")
    try:
        certificates = b"".join(map(binascii.a2b_base64, _CERTIFICATE.findall(text)))
        if not certificates:  # `ssl` would trust the usual authorities instead
            raise ValueError(
                "contains no certificate; enter it complete, from -----BEGIN CERTIFICATE----- to its END line"
            )
        context = ssl.create_default_context(cadata=certificates)
    except (binascii.Error, ssl.SSLError):
        raise ValueError("contains a certificate that cannot be read; copy it again, complete") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
