"""What the doctor finds on a real home, a real mail server and a scripted DNS, and that one crash hides nothing."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dns.resolver
import pytest

from engage_assets.clocks import RealClock
from engage_assets.deployment import resources
from engage_assets.doctor import examine as room
from engage_assets.doctor import machine
from engage_assets.doctor.case import Case
from engage_assets.doctor.examine import CHECKS, examine
from engage_assets.doctor.findings import Finding, exit_status, lines
from engage_assets.serving.access import make_key
from engage_assets.signing_keys import read_signer
from engage_assets_tests.alerts.servers import a_web_server
from engage_assets_tests.builders import instant
from engage_assets_tests.channels.mail_servers import PASSWORD, USER, free_port, mail_server

PROGRAMS = Path(__file__).parent.parent.parent / "programs"
RECORDS = ("spf", "dkim", "dmarc")
SELECTOR = {"ENGAGE_DKIM_SELECTOR": "s1"}
SPF, DKIM, DMARC = "v=spf1 include:mx.shop.com -all", "v=DKIM1; k=rsa; p=MIIB", "v=DMARC1; p=reject"
GOOD = {"shop.com": [SPF, "other"], "s1._domainkey.shop.com": [DKIM], "_dmarc.shop.com": [DMARC]}


class Zone:
    """A resolver: texts by name, an error by name, else NXDOMAIN."""

    def __init__(self, records):
        self.records = records
        self.asked = []

    def resolve(self, name, kind, *, lifetime, search):
        assert (kind, lifetime, search) == ("TXT", 2.0, False)
        self.asked.append(name)
        found = self.records.get(name.removesuffix("."), dns.resolver.NXDOMAIN())
        if isinstance(found, Exception):
            raise found
        # Long texts come in pieces.
        return [SimpleNamespace(strings=(text[:9].encode(), text[9:].encode())) for text in found]


class Clock:
    is_declared = False

    def __init__(self, offset):
        self.offset = timedelta(seconds=offset)

    def now(self):
        return datetime.now(UTC).replace(tzinfo=None) + self.offset


@pytest.fixture
def shop(tmp_path):
    """An environment whose marketplaces send from shop.com."""
    folder = tmp_path / "programs"
    shutil.copytree(PROGRAMS, folder)
    path = folder / "marketplaces.yaml"
    text = path.read_text()
    for code in ("us", "uk", "de", "fr", "jp", "in", "br", "au"):
        text = text.replace(f"reviews@{code}.shop.example", "reviews@shop.com")
    path.write_text(text)
    return {"ENGAGE_HOME": str(tmp_path / "home"), "ENGAGE_PROGRAMS": str(folder)}


def look(environment, *checks, resolver=None, clock=None):
    """Findings of some checks as (level, what); the others are not made."""
    case = Case(environment, resolver or Zone({}), clock or RealClock())
    wanted = {"dns" if check in RECORDS else check for check in checks}
    found = [one for name, check in CHECKS if name in wanted for one in room._isolated(name, check, case)]
    return [(one.level, one.what) for one in found if one.check in checks]


def levels(environment, *checks, **options):
    return [level for level, _ in look(environment, *checks, **options)]


def test_a_new_home_is_fit_for_a_dry_run_and_says_what_a_real_send_lacks(tmp_path):
    found = examine({"ENGAGE_HOME": str(tmp_path / "home"), "ENGAGE_PROGRAMS": str(PROGRAMS)}, Zone({}))
    by_check = {one.check: one.level for one in found}

    assert [name for name, _ in CHECKS] == list(dict.fromkeys(one.check for one in found))
    assert {name for name, level in by_check.items() if level == "warn"} >= {
        "transport",
        "dns",
        "service",
        "events",
        "api keys",
        "alerts",
    }
    assert exit_status(found) == 0
    assert all(one.remedy for one in found if one.level == "warn")
    [reserved] = [one for one in found if one.check == "dns"]
    assert "de.shop.example" in reserved.what
    assert "reserved for examples" in reserved.what


def test_one_crash_is_one_finding_without_its_text(shop, monkeypatch):
    def crash(_case):
        yield Finding("disk", "ok", "so far")
        raise RuntimeError("postgresql://engage:s3cret@db")

    monkeypatch.setattr(room, "CHECKS", tuple((name, crash if name == "disk" else check) for name, check in CHECKS))
    found = examine(shop, Zone(GOOD))

    assert [one.what for one in found if one.check == "disk"] == ["so far", "could not be looked at: RuntimeError"]
    assert {one.check for one in found} >= {"programs", "ledger", "store", "spf", "alerts"}
    assert exit_status(found) == 1


def test_faults_of_one_setting_do_not_hide_ledger_and_store(shop):
    broken = {
        **shop,
        "ENGAGE_TRANSPORT": "pigeon",
        "ENGAGE_SMTP_URL": "smtp://",
        "ENGAGE_PUBLIC_URL": "ftp://x",
        "ENGAGE_NOW": "soon",
        "ENGAGE_ALERT_EMAIL": "ada@example.invalid",
    }
    found = {one.check: one for one in examine(broken, Zone(GOOD))}

    assert {name for name, one in found.items() if one.level == "fail"} == {"clock", "transport", "service", "alerts"}
    assert "'pigeon' is not known; known: dry_run, smtp" in found["transport"].what
    assert "ada" not in "\n".join(lines(list(found.values())))


def test_program_files_are_named_with_their_faults(shop, tmp_path):
    path = tmp_path / "programs" / "product-reviews.yaml"
    path.write_text(path.read_text().replace("minScore: 0.7", "minScore: 7"))
    [(level, what)] = look(shop, "programs")
    assert level == "fail"
    assert "product-reviews.yaml:" in what
    assert levels({**shop, "ENGAGE_PROGRAMS": str(tmp_path / "none")}, "programs") == ["fail"]


@pytest.mark.parametrize(("free", "level"), [(499_999_999, "fail"), (500_000_000, "warn"), (5_000_000_000, "ok")])
def test_free_disk(shop, monkeypatch, free, level):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    assert levels(shop, "disk") == [level]


def test_a_home_that_cannot_be_written(shop, tmp_path):
    (tmp_path / "home").write_text("a file")
    [(level, what)] = look(shop, "home")
    assert (level, "cannot be written" in what) == ("fail", True)
    assert levels(shop, "disk") == ["ok"]


@pytest.mark.parametrize(("offset", "level"), [(0, "ok"), (20, "warn"), (-20, "warn"), (3600, "fail")])
def test_clocks_that_differ(shop, offset, level):
    [(found, what)] = look(shop, "clock", clock=Clock(offset))
    assert found == level
    assert level == "ok" or ("the disk is" in what and ("behind" in what) == (offset > 0))


def test_a_declared_clock_is_a_warning(shop):
    assert levels({**shop, "ENGAGE_NOW": "2026-11-20T12:00:00Z"}, "clock") == ["warn", "ok"]


def test_ledger_and_store_on_postgres(shop, postgres_url):
    there = {**shop, "ENGAGE_LEDGER_URL": postgres_url(), "ENGAGE_STORE_URL": postgres_url()}
    [(level, what)] = look(there, "ledger")
    assert (level, what.startswith("postgresql ")) == ("ok", True)
    assert levels(there, "store") == ["ok"]
    assert levels(there, "clock", clock=Clock(90)) == ["fail"] * 3


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://engage:s3cret@127.0.0.1:{port}/engage", "Connection refused"),
        ("postgresql://engage:s3@h0rse@127.0.0.1:{port}/engage", "failed to resolve host '…'"),
        ("postgresql://engage:pw@127.0.0.1:h0rse/engage", "ENGAGE_LEDGER_URL"),
        ("mysql://engage:s3cret@db/engage", "must be one of sqlite, postgresql"),
    ],
)
def test_a_database_that_is_not_there_is_said_without_its_password(shop, url, said):
    there = url.format(port=free_port())
    found = examine({**shop, "ENGAGE_LEDGER_URL": there, "ENGAGE_STORE_URL": there}, Zone(GOOD))
    ledger = "\n".join(lines([one for one in found if one.check == "ledger"]))

    assert {one.level for one in found if one.check in {"ledger", "store"}} == {"fail"}
    assert said in ledger
    assert "ENGAGE_LEDGER_URL" in ledger
    assert "s3" not in "\n".join(lines(found))
    assert "h0rse" not in ledger
    assert "@h0rse" not in "\n".join(lines(found))


def test_an_old_database_is_refused(shop, monkeypatch):
    from engage_assets.ledger.operations import SqlOperations

    for version, level in [("sqlite 3.37.2", "fail"), ("postgresql 12.9", "fail"), ("postgresql 13.0", "ok")]:
        monkeypatch.setattr(SqlOperations, "check", lambda _, v=version: {"database": v, "schema": "2"})
        assert levels(shop, "ledger") == [level]


def test_the_mail_server_is_tried_as_for_a_message(shop):
    smtp = {**shop, "ENGAGE_TRANSPORT": "smtp"}
    with mail_server(has_login=True) as (port, _inbox):
        there = {**smtp, "ENGAGE_SMTP_URL": f"smtp://{USER}@127.0.0.1:{port}"}
        assert look({**there, "ENGAGE_SMTP_PASSWORD": PASSWORD}, "transport") == [
            ("ok", "mx.example.invalid answers, no TLS, logged in")
        ]
        [(level, what)] = look({**there, "ENGAGE_SMTP_PASSWORD": "wr0ng"}, "transport")
        assert (level, "LOGIN" in what, "wr0ng" in what) == ("fail", True, False)
    assert levels({**smtp, "ENGAGE_SMTP_URL": f"smtp://127.0.0.1:{free_port()}"}, "transport") == ["fail"]
    assert levels(smtp, "transport") == ["fail"]


def test_good_records_are_found(shop):
    zone = Zone(GOOD)
    assert look({**shop, **SELECTOR}, "spf", "dkim", "dmarc", "dns", resolver=zone) == [
        ("ok", f"shop.com: {SPF}"),
        ("ok", "s1._domainkey.shop.com holds a key"),
        ("ok", "shop.com: p=reject (of shop.com)"),
    ]
    assert len(zone.asked) == 3  # one domain, however many marketplaces send from it


@pytest.mark.parametrize(
    ("check", "records", "level"),
    [
        ("spf", {"shop.com": ["v=spf10 -all"]}, "fail"),
        ("spf", {"shop.com": [SPF, SPF]}, "fail"),
        ("spf", {"shop.com": ["v=spf1 +all"]}, "fail"),
        ("spf", {"shop.com": dns.resolver.NoAnswer()}, "fail"),
        ("dkim", {"s1._domainkey.shop.com": ["k=rsa; p=MIIB"]}, "ok"),
        ("dkim", {"s1._domainkey.shop.com": ["v=DKIM1; p="]}, "fail"),
        ("dkim", {"s1._domainkey.shop.com": []}, "fail"),
        ("dmarc", {"_dmarc.shop.com": ["v=DMARC1"]}, "fail"),
        ("dmarc", {"_dmarc.com": [DMARC], "_dmarc.shop.com": []}, "fail"),
    ],
)
def test_records_that_are_missing_or_wrong_fail(shop, check, records, level):
    nothing = {"shop.com": [], "s1._domainkey.shop.com": [], "_dmarc.shop.com": []}
    assert levels({**shop, **SELECTOR}, check, resolver=Zone(nothing | records)) == [level]


def test_the_policy_of_a_domain_above_holds(shop, tmp_path):
    path = tmp_path / "programs" / "marketplaces.yaml"
    path.write_text(path.read_text().replace("reviews@shop.com", "reviews@mail.de.shop.com"))
    assert look(shop, "dmarc", resolver=Zone(GOOD)) == [("ok", "mail.de.shop.com: p=reject (of shop.com)")]


def test_no_answer_is_unknown_not_missing(shop):
    silent = dns.resolver.LifetimeTimeout(timeout=2.0, errors=[])
    some = Zone({**GOOD, "_dmarc.shop.com": dns.resolver.NoNameservers()})
    none = Zone({"shop.com": silent, "s1._domainkey.shop.com": silent, "_dmarc.shop.com": silent})

    assert look({**shop, **SELECTOR}, "dns", resolver=some) == [
        ("warn", "shop.com: unknown, DNS does not answer (NoNameservers)")
    ]
    assert look({**shop, **SELECTOR}, "dns", "spf", "dkim", "dmarc", resolver=none) == [
        ("warn", "DNS answered none of 3 questions")
    ]
    assert levels(shop, "dkim", resolver=Zone(GOOD)) == ["warn"]  # no selector is set


def test_the_service_is_asked_at_its_public_address(shop):
    with a_web_server() as desk:
        base = desk.url.removesuffix("/hooks/secret-path")
        assert levels({**shop, "ENGAGE_PUBLIC_URL": f"{base}/"}, "service") == ["ok"]
        assert desk.requests[-1][1] == "/healthz"
        desk.status = 503
        assert levels({**shop, "ENGAGE_PUBLIC_URL": base}, "service") == ["fail"]
    assert levels({**shop, "ENGAGE_PUBLIC_URL": f"http://127.0.0.1:{free_port()}"}, "service") == ["fail"]
    assert levels({**shop, "ENGAGE_PUBLIC_URL": "http://shop.com"}, "service") == ["fail"]
    assert levels({**shop, "ENGAGE_TRANSPORT": "smtp"}, "service") == ["fail"]


def test_keys_that_others_may_read_fail(shop, tmp_path):
    path = tmp_path / "home" / "signing-keys.json"
    assert look(shop, "signing keys") == [("ok", "none yet; they are made on first use")]
    assert not path.exists()

    read_signer(path, {})
    assert levels(shop, "signing keys") == ["ok"]
    os.chmod(path, 0o640)  # noqa: PTH101
    assert look(shop, "signing keys") == [("fail", f"{path} has mode 0640")]
    assert levels({**shop, "ENGAGE_SIGNING_KEYS": f"1:{'ab' * 32}"}, "signing keys") == ["ok"]
    assert levels({**shop, "ENGAGE_SIGNING_KEYS": "1:ab"}, "signing keys") == ["fail"]


def test_what_the_service_needs_is_there_or_warned_of(shop):
    key, _ = make_key("shop", ["candidates:read"], instant("2026-11-20"))
    operations = resources(shop)["operations"]
    operations.add_key(key, "ada")
    there = {
        **shop,
        "ENGAGE_WEBHOOK_SECRET_SES": "s" * 32,
        "ENGAGE_ALERT_WEBHOOK": "https://hooks.example.com/s3cret",
    }
    found = look(there, "events", "api keys", "alerts")

    assert found == [("ok", "secret set for ses"), ("ok", "1 in force"), ("ok", "go to webhook hooks.example.com")]
    operations.revoke_key(key.key_id, "ada", instant("2026-11-21"))
    assert levels(shop, "events", "api keys", "alerts") == ["warn"] * 3


def test_findings_as_text():
    found = [
        Finding("disk", "ok", "80 GB are free"),
        Finding("ledger", "fail", "first\nsecond", "mend it"),
        Finding("dns", "warn", "unknown", "ask again"),
    ]
    assert lines(found) == [
        "ok    disk    80 GB are free",
        "fail  ledger  first",
        "              second",
        "              → mend it",
        "warn  dns     unknown",
        "              → ask again",
        "1 ok, 1 warn, 1 fail",
    ]
    assert exit_status(found[::2]) == 0
    assert exit_status(found) == 1
    assert lines([]) == ["nothing was looked at"]
