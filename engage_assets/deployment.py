"""Which implementation stands behind each port, by deployment and environment: one table."""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final

from engage_assets.alerts.opening import destinations
from engage_assets.channels.dry_run import DryRunSender
from engage_assets.channels.links import Links
from engage_assets.channels.smtp import smtp_sender
from engage_assets.clocks import read_clock
from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Sender
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.banners import SqlBanners
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.database import Database
from engage_assets.ledger.dietary import SqlDietaryPreferences
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.notices import SqlNotices
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import RELAYED, SqlOutbox
from engage_assets.ledger.prompts import LATE_CHECKPOINT, SETTLED, SqlPrompts
from engage_assets.ledger.push_addresses import SqlPushSubscriptions
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.surveys import SqlSurveyAnswers
from engage_assets.signing_keys import read_signer
from engage_assets.stores.opening import open_store
from engage_assets.stores.score_cache import SqliteScoreCache
from engage_assets.watermark import Watermark

if TYPE_CHECKING:
    from engage_assets.channels.web_push import Vapid


def _local(home: Home, environment: Mapping[str, str]) -> dict[str, Any]:
    """Everything in one folder, but for what a URL in the environment names."""
    warehouse = Warehouse(home.warehouse)
    database = Database(environment.get("ENGAGE_LEDGER_URL") or home.ledger_url, Random())  # noqa: S311 – spreads retries
    # Whom a person waits for carries the database's log over to its file late, so that others do it.
    prompt = Database(database.url, Random(), checkpoint_pages=LATE_CHECKPOINT)  # noqa: S311 – as above
    store = open_store(environment.get("ENGAGE_STORE_URL") or f"sqlite:///{home.candidates}")
    return {
        "home": home,
        "clock": read_clock(environment),
        "warehouse": warehouse,
        "connector": DuckDBConnector(warehouse),
        "lake": Lake(home.lake),
        "models": home.models,
        "score_cache": SqliteScoreCache(home.scores) if environment.get("ENGAGE_SCORE_CACHE") == "on" else None,
        "store": store,
        "ledger": SqlLedger(database),
        "contacts": SqlContacts(database),
        "operations": SqlOperations(database),
        "outbox": SqlOutbox(Database(database.url, Random(), **RELAYED)),  # noqa: S311 – as above
        "prompts": SqlPrompts(Database(database.url, Random(), **SETTLED)),  # noqa: S311 – as above
        "registrations": SqlRegistrations(prompt),
        "dietary": SqlDietaryPreferences(prompt),
        "banners": SqlBanners(database),
        "push_addresses": SqlPushSubscriptions(database),
        "surveys": SqlSurveyAnswers(database),
        "notices": SqlNotices(database),
        "attendances": SqlAttendances(database),
        "sender": _sender(home, environment),
        "push_sender": _push_sender(home, environment),
        "push_key": _push_key(environment),
        "links": _links(home, environment),
        "watermark": Watermark(home.watermark),
        "alert_destinations": destinations(environment, _mail_server(environment)),
    }


def _dry_run(home: Home, environment: Mapping[str, str]) -> Sender:  # noqa: ARG001 – transports are made alike
    return DryRunSender(home.outbox)


def _smtp(home: Home, environment: Mapping[str, str]) -> Sender:  # noqa: ARG001 – transports are made alike
    sender = _mail_server(environment)
    if sender is None:
        raise EngageError(
            "ENGAGE_TRANSPORT is smtp, but ENGAGE_SMTP_URL is not set; write for example"
            " ENGAGE_SMTP_URL='smtp://user@mail.example.com:587?starttls=required' and its password into"
            " ENGAGE_SMTP_PASSWORD"
        )
    return sender


def _mail_server(environment: Mapping[str, str]) -> Sender | None:
    """The mail server that the environment names: the transport smtp, and alerts."""
    url = environment.get("ENGAGE_SMTP_URL")
    if not url:
        return None
    rate = environment.get("ENGAGE_SMTP_PER_SECOND")
    return smtp_sender(
        url,
        environment.get("ENGAGE_SMTP_PASSWORD"),
        lines=int(_number("ENGAGE_SMTP_LINES", environment.get("ENGAGE_SMTP_LINES") or "4")),
        per_second=_number("ENGAGE_SMTP_PER_SECOND", rate) if rate else None,
    )


TRANSPORTS: Final[Mapping[str, Callable[[Home, Mapping[str, str]], Sender]]] = {"dry_run": _dry_run, "smtp": _smtp}
"""Transports of messages by the name in `ENGAGE_TRANSPORT`."""
DEPLOYMENTS: Final[Mapping[str, Callable[[Home, Mapping[str, str]], dict[str, Any]]]] = {"local": _local}
"""Resources by the name of the deployment, `ENGAGE_DEPLOYMENT`."""


def resources(environment: Mapping[str, str]) -> dict[str, Any]:
    """The resources of the deployment that `environment` names. Raises EngageError for an unknown one."""
    name = environment.get("ENGAGE_DEPLOYMENT") or "local"
    if name not in DEPLOYMENTS:
        raise EngageError(f"ENGAGE_DEPLOYMENT={name!r} is not known; known: {', '.join(DEPLOYMENTS)}")
    return DEPLOYMENTS[name](home_of(environment), environment)


def home_of(environment: Mapping[str, str]) -> Home:
    """The folder `ENGAGE_HOME`, default `.engage` in the working directory."""
    return Home.read(environment)


def _sender(home: Home, environment: Mapping[str, str]) -> Sender:
    name = environment.get("ENGAGE_TRANSPORT") or "dry_run"
    if name not in TRANSPORTS:
        raise EngageError(f"ENGAGE_TRANSPORT={name!r} is not known; known: {', '.join(TRANSPORTS)}")
    return TRANSPORTS[name](home, environment)


def _push_sender(home: Home, environment: Mapping[str, str]) -> Sender:
    """Web Push where a key to sign with is given, else files in the outbox."""
    vapid = _vapid(environment)
    if vapid is None:
        return DryRunSender(home.outbox, suffix=".json")
    from engage_assets.channels.web_push import WebPushSender  # noqa: PLC0415  see _vapid

    return WebPushSender(vapid)


def _push_key(environment: Mapping[str, str]) -> str | None:
    """What browsers subscribe with; None: they are offered nothing."""
    vapid = _vapid(environment)
    return vapid.public_key if vapid else None


def _vapid(environment: Mapping[str, str]) -> "Vapid | None":
    key = environment.get("ENGAGE_VAPID_KEY")
    if not key:
        return None
    from engage_assets.channels.web_push import Vapid  # noqa: PLC0415  its cryptography is for whom it is needed

    return Vapid.read(key, environment.get("ENGAGE_VAPID_CONTACT") or "")


def _links(home: Home, environment: Mapping[str, str]) -> Links | None:
    """Signed links, where the service's address is known; keys are made on first use in the home."""
    url = environment.get("ENGAGE_PUBLIC_URL")
    return Links(url, read_signer(home.signing_keys, environment)) if url else None


def _number(name: str, text: str) -> float:
    """A positive number. Raises EngageError naming the variable."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise EngageError(f"{name}={text!r} is no positive number")
    return number
