"""Which requests come from Alexa: Amazon's rules, one broken at a time."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engage_assets.domain.errors import EngageError
from engage_assets.voice.alexa_signature import KEPT, NotFromAlexaError, Verifier, address_of
from engage_assets_tests.voice.authority import DAY, NOW, URL, Authority, Pages, a_key, sign

BODY = b'{"version": "1.0"}'
OURS = Authority()


def a_verifier(chain: bytes | None = None, url: str = URL) -> tuple[Verifier, Pages]:
    pages = Pages(**{url: chain if chain is not None else OURS.chain()})
    return Verifier(pages, [OURS.root]), pages


def refusal(chain: bytes | None = None, body: bytes = BODY, signature: str | None = None, now=NOW) -> str | None:
    """Why a request is refused, if it is."""
    try:
        a_verifier(chain)[0].check(URL, sign(BODY) if signature is None else signature, body, now)
    except NotFromAlexaError as error:
        return str(error)
    return None


def test_a_signed_request_is_taken_and_its_certificate_kept_for_a_day():
    verifier, pages = a_verifier(OURS.chain(ends=NOW + 9 * DAY))
    moments = [NOW, NOW + KEPT - DAY / 24, NOW + KEPT]

    for now in moments:
        verifier.check(URL, sign(BODY), BODY, now)

    assert pages.fetched == 2
    assert [verifier.knows(URL, now) for now in (NOW, NOW + 3 * DAY)] == [True, False]


def test_a_certificate_is_not_kept_beyond_its_end():
    verifier, _ = a_verifier(OURS.chain(ends=NOW + DAY / 2))
    verifier.check(URL, sign(BODY), BODY, NOW)

    with pytest.raises(NotFromAlexaError, match="expired"):
        verifier.check(URL, sign(BODY), BODY, NOW + DAY / 2 + DAY / 24)


@pytest.mark.parametrize(
    ("chain", "rule"),
    [
        (OURS.chain(), None),
        (OURS.chain(name="echo-api.amazon.com.example"), "not good for"),
        (OURS.chain(name="*.amazon.com.example"), "not good for"),
        (OURS.chain(begins=NOW - 2 * DAY, ends=NOW - DAY / 24), "not good for"),
        (OURS.chain(begins=NOW + DAY / 24), "not good for"),
        (Authority(2).chain(), "not good for"),
        (b"", "no certificates"),
        (b"<html>", "no certificates"),
        (OURS.chain(key=ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
    ],
)
def test_only_a_chain_of_a_trusted_root_for_the_name_at_the_time_counts(chain, rule):
    found = refusal(chain)
    assert found is None if rule is None else rule in found


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (BODY + b" ", None),
        (BODY.replace(b"1.0", b"1.1"), None),
        (BODY, sign(BODY, a_key(99))),
        (BODY, "no base64!"),
        (BODY, ""),
        (BODY, sign(BODY)[:-4]),
    ],
)
def test_an_altered_body_or_another_signature_is_refused(body, signature):
    assert "Signature-256" in refusal(body=body, signature=signature)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.amazonaws.com/echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem",
        "HTTPS://S3.AmazonAWS.com/echo.api/echo-api-cert.pem",
    ],
)
def test_amazons_own_examples_of_addresses_are_taken(url):
    assert address_of(url) == "https://s3.amazonaws.com/echo.api/echo-api-cert.pem"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://s3.amazonaws.com/echo.api/echo-api-cert.pem", "https"),
        ("https://notamazon.com/echo.api/echo-api-cert.pem", "host"),
        ("https://s3.amazonaws.com.example/echo.api/echo-api-cert.pem", "host"),
        ("https://s3.amazonaws.com@example.com/echo.api/c.pem", "host"),
        ("https://user@s3.amazonaws.com/echo.api/c.pem", "host"),
        ("https://s3.amazonaws.com/EcHo.aPi/echo-api-cert.pem", "below"),
        ("https://s3.amazonaws.com/invalid.path/echo-api-cert.pem", "below"),
        ("https://s3.amazonaws.com/echo.api/../other/c.pem", "below"),
        ("https://s3.amazonaws.com/echo.api/%2e%2e/other/c.pem", "below"),
        ("https://s3.amazonaws.com/echo.api/..\\other/c.pem", "below"),
        ("https://s3.amazonaws.com:563/echo.api/echo-api-cert.pem", "port"),
        ("https://s3.amazonaws.com:port/echo.api/c.pem", "no address"),
        ("https://[s3.amazonaws.com/echo.api/c.pem", "no address"),
        ("file:///echo.api/c.pem", "https"),
    ],
)
def test_other_addresses_are_refused_before_anything_is_fetched(url, rule):
    verifier, pages = a_verifier()

    with pytest.raises(NotFromAlexaError, match=rule):
        verifier.check(url, sign(BODY), BODY, NOW)
    assert pages.fetched == 0


def test_a_chain_that_cannot_be_fetched_is_asked_for_again():
    verifier, pages = a_verifier(url="https://elsewhere")
    for _ in range(2):
        with pytest.raises(EngageError, match="cannot be fetched"):
            verifier.check(URL, sign(BODY), BODY, NOW)
    assert pages.fetched == 2


def test_few_certificates_are_kept():
    chain = OURS.chain()
    urls = [f"https://s3.amazonaws.com/echo.api/{number}.pem" for number in range(20)]
    verifier = Verifier(Pages(**dict.fromkeys(urls, chain)), [OURS.root])

    for url in urls:
        verifier.check(url, sign(BODY), BODY, NOW)

    assert [verifier.knows(url, NOW) for url in (urls[0], urls[-1])] == [False, True]
