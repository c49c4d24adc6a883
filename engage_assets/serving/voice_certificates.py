"""Where Alexa's certificates come from: Amazon's address for the chain, the roots of the world for its end."""

from pathlib import Path
from typing import Final

import certifi
import httpx
from cryptography.x509 import Certificate, load_pem_x509_certificates

from engage_assets.domain.errors import EngageError

SECONDS: Final = 4.0
"""Alexa waits 8 s for an answer."""
_LARGEST: Final = 64 * 1024


class WebCertificates:
    """See CertificateSource. No redirects, no more than 64 KiB."""

    def fetch(self, url: str) -> bytes:
        """See CertificateSource."""
        try:
            with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=False) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > _LARGEST:
                        break
        except httpx.HTTPError as error:
            raise EngageError(f"the certificate chain cannot be fetched: {type(error).__name__}") from None
        if answer.status_code != 200 or len(content) > _LARGEST:
            raise EngageError(f"the certificate chain cannot be fetched: status {answer.status_code}")
        return content


def trusted_roots(path: Path | None = None) -> list[Certificate]:
    """The certificates that a chain may end in: those of a PEM file, else the well-known ones (certifi).

    Raises EngageError where the file cannot be read.
    """
    try:
        found = load_pem_x509_certificates(path.read_bytes() if path else certifi.contents().encode())
    except (OSError, ValueError) as error:
        raise EngageError(f"{path}: cannot be read as certificates in PEM: {type(error).__name__}") from None
    return found
