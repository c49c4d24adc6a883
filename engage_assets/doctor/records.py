"""SPF, DKIM and DMARC: what receivers of mail look up about a sender's domain."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, Resolver

from engage_assets.doctor import case as cases
from engage_assets.doctor.case import Case
from engage_assets.doctor.findings import Finding

SELECTOR: Final = "ENGAGE_DKIM_SELECTOR"
LIFETIME: Final = 2.0
"""Seconds that one question may take."""
_AT_ONCE: Final = 8
_RESERVED: Final = ("example", "invalid", "test", "localhost", "example.com", "example.net", "example.org")
"""Domains that nobody can own (RFC 2606, 6761)."""
Texts = Callable[[str], list[str]]
"""The TXT records of a name; raises _Unknown."""
Question = Callable[[Texts, str], Finding]


class _Unknown(Exception):
    """DNS did not answer; the text is the class of its error."""


def sender_records(case: Case) -> Iterator[Finding]:
    """The records of each sender's domain. Missing ones fail; where DNS gives no answer, that is a warning."""
    domains = sorted({one.sender_address.rpartition("@")[2].lower().rstrip(".") for one in case.marketplaces.values()})
    reserved = [domain for domain in domains if _is_reserved(domain)]
    if reserved:
        remedy = "put your own senders into marketplaces.yaml; receivers refuse these"
        yield Finding("dns", "warn", f"{', '.join(reserved)}: reserved for examples, nobody owns them", remedy)
    real = [domain for domain in domains if domain not in reserved]
    selector = case.value(SELECTOR)
    if real and not selector:
        remedy = f"set {SELECTOR} to the selector under which your mail server signs; its operator knows it"
        yield Finding("dkim", "warn", f"{SELECTOR} is not set, so DKIM was not looked at", remedy)
    questions: list[Question] = [_spf, *([partial(_dkim, selector)] if selector else []), _dmarc]
    if real:
        yield from _all_unknown_as_one(_ask(case.resolver or Resolver(), questions, real))


def _is_reserved(domain: str) -> bool:
    return any(domain == one or domain.endswith(f".{one}") for one in _RESERVED)


def _ask(resolver: cases.Resolver, questions: Sequence[Question], domains: Sequence[str]) -> list[Finding]:
    """All questions side by side: without DNS each takes its whole lifetime."""
    texts = partial(_texts, resolver)
    asked = [(question, domain) for domain in domains for question in questions]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda pair: _answered(pair[0], texts, pair[1]), asked))


def _answered(question: Question, texts: Texts, domain: str) -> Finding:
    try:
        return question(texts, domain)
    except _Unknown as error:
        remedy = "ask again later, or run the doctor where DNS answers"
        return Finding("dns", "warn", f"{domain}: unknown, DNS does not answer ({error})", remedy)


def _all_unknown_as_one(findings: Sequence[Finding]) -> Sequence[Finding]:
    """One warning instead of many where DNS answered nothing at all."""
    if len(findings) > 1 and all(finding.check == "dns" for finding in findings):
        remedy = "run the doctor where DNS answers; until then SPF, DKIM and DMARC are unknown"
        return [Finding("dns", "warn", f"DNS answered none of {len(findings)} questions", remedy)]
    return findings


def _texts(resolver: cases.Resolver, name: str) -> list[str]:
    """TXT records of a name; none where there are none. Raises _Unknown."""
    try:
        answer = resolver.resolve(f"{name}.", "TXT", lifetime=LIFETIME, search=False)
    except (NXDOMAIN, NoAnswer):
        return []
    except (DNSException, OSError) as error:
        raise _Unknown(type(error).__name__) from None
    return [b"".join(record.strings).decode("ascii", "replace") for record in answer]


def _spf(texts: Texts, domain: str) -> Finding:
    """Exactly one SPF record, which does not allow everybody."""
    found = [text for text in texts(domain) if text.lower().split(" ")[0] == "v=spf1"]
    if len(found) == 1 and not {"all", "+all"} & set(found[0].lower().split()):
        return Finding("spf", "ok", f"{domain}: {found[0]}")
    wrong = "lets everybody send (+all)" if len(found) == 1 else f"{len(found) or 'no'} SPF records"
    remedy = f'publish one TXT record at {domain} that names your mail server: "v=spf1 include:… -all"'
    return Finding("spf", "fail", f"{domain}: {wrong}", remedy)


def _dkim(selector: str, texts: Texts, domain: str) -> Finding:
    """A public key under the selector; an empty one is a revoked one."""
    name = f"{selector}._domainkey.{domain}"
    keys = [tags["p"] for tags in map(_tags, texts(name)) if tags.get("v", "DKIM1") == "DKIM1" and "p" in tags]
    if any(keys):
        return Finding("dkim", "ok", f"{name} holds a key")
    wrong = "the key is revoked (p= is empty)" if keys else "no key"
    remedy = f"publish the record that your mail server's operator gives, or correct {SELECTOR}"
    return Finding("dkim", "fail", f"{name}: {wrong}", remedy)


def _dmarc(texts: Texts, domain: str) -> Finding:
    """A policy of the domain, else of the nearest domain above it."""
    labels = domain.split(".")
    for place in range(max(len(labels) - 1, 1)):
        above = ".".join(labels[place:])
        found = [tags for tags in map(_tags, texts(f"_dmarc.{above}")) if tags.get("v") == "DMARC1"]
        if len(found) == 1 and found[0].get("p"):
            return Finding("dmarc", "ok", f"{domain}: p={found[0]['p']} (of {above})")
    remedy = f'publish a TXT record at _dmarc.{domain}, to begin with "v=DMARC1; p=none"'
    return Finding("dmarc", "fail", f"{domain}: no DMARC record there or above", remedy)


def _tags(text: str) -> dict[str, str]:
    """The tags of a `name=value; …` record."""
    pairs = [part.strip().partition("=") for part in text.split(";") if "=" in part]
    return {name.strip(): value.strip() for name, _, value in pairs}
