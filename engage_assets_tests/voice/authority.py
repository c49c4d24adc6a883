"""A certificate authority for tests: what Amazon's is to Alexa's requests, made offline."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engage_assets.domain.errors import EngageError
from engage_assets.voice.alexa_signature import NAME

URL = "https://s3.amazonaws.com/echo.api/echo-api-cert-12.pem"
NOW = datetime(2026, 11, 20, 12)  # noqa: DTZ001
DAY = timedelta(days=1)


@cache
def a_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A key of its own for each number."""
    return rsa.generate_private_key(65_537, 2048)


class Authority:
    """A root and an intermediate; signs leaves."""

    def __init__(self, number: int = 1) -> None:
        self.root = _certificate("Root", a_key(10 * number), "Root", a_key(10 * number), is_authority=True)
        self.middle = _certificate("Middle", a_key(10 * number + 1), "Root", a_key(10 * number), is_authority=True)
        self._key = a_key(10 * number + 1)

    def chain(
        self,
        name: str = NAME,
        begins: datetime = NOW - DAY,
        ends: datetime = NOW + DAY,
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """A leaf for `name` and the intermediate, PEM."""
        leaf = _certificate("Leaf", key or a_key(), "Middle", self._key, names=[name], begins=begins, ends=ends)
        return b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, self.middle))


class Pages:
    """Certificates by address; counts how often it was asked. See CertificateSource."""

    def __init__(self, **pages: bytes) -> None:
        self.pages = dict(pages)
        self.fetched = 0

    def fetch(self, url: str) -> bytes:
        self.fetched += 1
        if url not in self.pages:
            raise EngageError("the certificate chain cannot be fetched: status 404")
        return self.pages[url]


def sign(body: bytes, key: rsa.RSAPrivateKey | None = None) -> str:
    """The header Signature-256 of a body."""
    return b64encode((key or a_key()).sign(body, padding.PKCS1v15(), SHA256())).decode()


def _certificate(
    subject: str,
    key,
    issuer: str,
    issuer_key,
    *,
    is_authority: bool = False,
    names=(),
    begins: datetime = NOW - 100 * DAY,
    ends: datetime = NOW + 100 * DAY,
) -> x509.Certificate:
    def named(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {common}")])

    made = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins.replace(tzinfo=UTC))
        .not_valid_after(ends.replace(tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_authority:
        usage = dict.fromkeys(_USES, False) | {"key_cert_sign": True, "crl_sign": True}
        made = made.add_extension(x509.KeyUsage(**usage), critical=True)
    else:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return made.sign(issuer_key, SHA256())


_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
