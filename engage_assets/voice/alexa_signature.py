"""Whether a request comes from Alexa: Amazon's rules for the signature and the certificate it was made with.

Rules: "Host a Custom Skill as a Web Service", Amazon. Chains are verified by `cryptography`.
"""

from base64 import b64decode
from binascii import Error
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from posixpath import normpath
from re import compile as pattern
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate, DNSName, load_pem_x509_certificates
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CertificateSource

NAME: Final = "echo-api.amazon.com"
"""The name that the certificate must bear."""
HOST: Final = "s3.amazonaws.com"
PATH: Final = "/echo.api/"
TOLERANCE_SECONDS: Final = 150.0
"""A request that was made longer ago is refused."""
KEPT: Final = timedelta(hours=24)
"""A certificate that was verified is not fetched again for so long."""
_MOST: Final = 16
_SIGNATURE_CHARACTERS: Final = 1_024
_PLAIN: Final = pattern(r"[\w./-]{1,300}")


class NotFromAlexaError(EngageError):
    """A request that does not come from Alexa, or cannot prove it; says which rule it breaks, never what it holds."""


class Verifier:
    """Checks signatures with certificates that chain up to one of `roots`. Threads may share it."""

    def __init__(self, certificates: CertificateSource, roots: Sequence[Certificate]) -> None:
        self._certificates = certificates
        self._roots = Store(list(roots))
        self._keys: OrderedDict[str, tuple[datetime, RSAPublicKey]] = OrderedDict()

    def knows(self, url: str, now: datetime) -> bool:
        """Whether the certificate at an address (`address_of`) needs not be fetched."""
        found = self._keys.get(url)
        return found is not None and now < found[0]

    def check(self, url: str, signature: str, body: bytes, now: datetime) -> None:
        """Raise NotFromAlexaError unless `signature` (`Signature-256`) is one of `body`.

        `url` is the header `SignatureCertChainUrl`; `now` UTC without a zone attached. Fetches what it does not know.
        """
        key = self._key(address_of(url), now)
        try:
            given = b64decode(signature[:_SIGNATURE_CHARACTERS], validate=True)
            key.verify(given, body, PKCS1v15(), SHA256())
        except (InvalidSignature, Error, ValueError):
            raise NotFromAlexaError("Signature-256 is not one of this body with that certificate") from None

    def _key(self, url: str, now: datetime) -> RSAPublicKey:
        if self.knows(url, now):
            return self._keys[url][1]
        leaf = verified(self._certificates.fetch(url), self._roots, now)
        key = leaf.public_key()
        if not isinstance(key, RSAPublicKey):
            raise NotFromAlexaError("the certificate's key is no RSA key")
        ends_at = leaf.not_valid_after_utc.replace(tzinfo=None)
        self._keys[url] = min(ends_at, now + KEPT), key
        while len(self._keys) > _MOST:
            self._keys.popitem(last=False)
        return key


def address_of(url: str) -> str:
    """An address from which Amazon serves these certificates, in its plain form.

    Raises NotFromAlexaError for any other.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotFromAlexaError("SignatureCertChainUrl is no address") from None
    if parts.scheme.lower() != "https":
        raise NotFromAlexaError("SignatureCertChainUrl does not begin with https")
    if (parts.hostname or "") != HOST or "@" in parts.netloc:
        raise NotFromAlexaError(f"SignatureCertChainUrl does not name the host {HOST}")
    if port not in (None, 443):
        raise NotFromAlexaError("SignatureCertChainUrl names another port than 443")
    path = normpath(parts.path)
    if not path.startswith(PATH) or not _PLAIN.fullmatch(path):
        raise NotFromAlexaError(f"SignatureCertChainUrl does not lie below {PATH}")
    return f"https://{HOST}{path}"


def verified(pem: bytes, roots: Store, now: datetime) -> Certificate:
    """The leaf of a chain that is good for NAME at `now`. Raises NotFromAlexaError for any other."""
    try:
        leaf, *others = load_pem_x509_certificates(pem)
    except ValueError:
        raise NotFromAlexaError("there are no certificates at SignatureCertChainUrl") from None
    policy = PolicyBuilder().store(roots).time(now.replace(tzinfo=UTC))
    try:
        policy.build_server_verifier(DNSName(NAME)).verify(leaf, others)
    except VerificationError:
        raise NotFromAlexaError(
            f"the certificate is not good for {NAME}: expired, untrusted, or of another name"
        ) from None
    return leaf
