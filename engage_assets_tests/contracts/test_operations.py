"""What operators do: each act works, and is kept with who and when."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from engage_assets.domain.errors import EngageError
from engage_assets.domain.operations import Alert, Approval, Stop, address_hash
from engage_assets.domain.responses import ApiKey
from engage_assets.domain.tables import AUDIT_LOG
from engage_assets.ledger import tables
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets_tests.contracts.sends import CAMPAIGN, NOW, SECOND, a_send, hand_over, ids

PROGRAM = "product-reviews"
KEY = ApiKey("k-1", "shop", "a" * 64, frozenset({"query", "delete"}), NOW, per_minute=60)


@pytest.fixture
def operations(ledger: SqlLedger) -> SqlOperations:
    return SqlOperations(ledger.database)


def acts(operations: SqlOperations) -> list[tuple]:
    """Every act without its details."""
    return operations.audit().select("who", "act", "target", "at").rows()


def test_a_stop_holds_until_it_is_resumed(operations):
    assert operations.stop(PROGRAM, "wrong template", "ada", NOW)
    assert not operations.stop(PROGRAM, "again", "bob", NOW + SECOND)
    assert operations.stop(CAMPAIGN, "bounces", "engage", NOW + SECOND)

    assert operations.stopped([PROGRAM]) == [Stop(PROGRAM, "wrong template", "ada", NOW)]
    assert [stop.target for stop in operations.stopped([CAMPAIGN, "another", PROGRAM])] == [PROGRAM, CAMPAIGN]
    assert operations.stopped([]) == []

    assert operations.resume(PROGRAM, "bob", NOW + SECOND)
    assert not operations.resume(PROGRAM, "bob", NOW + SECOND)
    assert operations.stopped([PROGRAM]) == []
    assert operations.stop(PROGRAM, "wrong again", "ada", NOW + SECOND)
    assert acts(operations) == [
        ("ada", "stop", PROGRAM, NOW),
        ("engage", "stop", CAMPAIGN, NOW + SECOND),
        ("bob", "resume", PROGRAM, NOW + SECOND),
        ("ada", "stop", PROGRAM, NOW + SECOND),
    ]
    assert operations.audit()["details"].to_list() == ["wrong template", "bounces", "", "wrong again"]
    assert operations.audit().schema == AUDIT_LOG.schema


def test_who_stops_at_once_stops_once(operations):
    start = threading.Barrier(4)

    def stop(number: int) -> bool:
        start.wait()
        return operations.stop(PROGRAM, "fire", f"operator {number}", NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(stop, range(4))) == [False, False, False, True]
    assert len(operations.stopped([PROGRAM])) == len(acts(operations)) == 1


def test_the_latest_approval_counts(operations):
    first = Approval(CAMPAIGN, "a" * 64, b"\x00\xff" * 8, "ada", NOW)
    second = replace(first, digest="b" * 64, members=b"", who="bob", at=NOW)
    assert operations.approval(CAMPAIGN) is None

    operations.approve(first)
    assert operations.approval(CAMPAIGN) == first
    operations.approve(second)
    assert operations.approval(CAMPAIGN) == second
    assert operations.approval("another") is None
    assert acts(operations) == [("ada", "approve", CAMPAIGN, NOW), ("bob", "approve", CAMPAIGN, NOW)]
    assert operations.audit()["details"].to_list() == [
        "audience aaaaaaaaaaaa, 2 members",
        "audience bbbbbbbbbbbb, 0 members",
    ]


ADDRESSES = [" Ada@Example.invalid", "ada@example.invalid", "bob@example.invalid"]


def test_a_suppression_list_is_imported_once_and_without_addresses(operations, ledger):
    assert operations.suppress(["c-2", "c-1", "c-1"], ADDRESSES, "ada", "list.csv", NOW) == 4
    assert operations.suppress(["c-1", "c-3"], ADDRESSES[:1], "bob", "more.csv", NOW + SECOND) == 1
    assert operations.suppress([], [], "bob", "empty.csv", NOW + SECOND) == 0

    assert acts(operations) == [
        ("ada", "import", "list.csv", NOW),
        ("bob", "import", "more.csv", NOW + SECOND),
        ("bob", "import", "empty.csv", NOW + SECOND),
    ]
    assert operations.audit()["details"].to_list() == ["4 entries, 4 new", "3 entries, 1 new", "0 entries, 0 new"]
    with ledger.database.reading() as connection:
        columns = (tables.suppressions.c[name] for name in ("customer_id", "address_hash", "reason", "at"))
        kept = set(map(tuple, connection.execute(select(*columns))))
    assert kept == {
        *((customer, None, "imported", NOW) for customer in ("c-1", "c-2")),
        ("c-3", None, "imported", NOW + SECOND),
        *((None, address_hash(address), "imported", NOW) for address in ADDRESSES),
    }


def test_no_address_lies_in_the_file(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}")
    SqlOperations(ledger.database).suppress([], ADDRESSES, "ada", "list.csv", NOW)
    ledger.close()

    path = Path(ledger.url.removeprefix("sqlite:///"))
    stored = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*")).lower()
    assert address_hash(ADDRESSES[2]).encode() in stored
    assert b"example.invalid" not in stored


@pytest.mark.parametrize("state", ["sent", "failed"])
def test_a_person_says_what_became_of_sends_in_doubt(operations, ledger, state):
    sends = [a_send("c-1"), a_send("c-2")]
    hand_over(ledger, *sends, then="in_doubt")

    assert operations.resolve([*ids(sends), ids(sends)[0]], state, "ada", NOW + SECOND) == 2

    assert ledger.states(CAMPAIGN) == {state: 2}
    assert ledger.in_doubt().is_empty()
    assert ledger.send_events(NOW, NOW + SECOND).select("state", "reason").rows() == [(state, "RESOLVED")] * 2
    entries = SqlOutbox(ledger.database).waiting(["candidate_status"], 10)
    assert [entry.payload["status"] for entry in entries] == (["delivered"] * 2 if state == "sent" else [])
    assert acts(operations) == [("ada", "resolve", "2 sends", NOW + SECOND)]
    assert all(one in operations.audit()["details"].item() for one in [state, *ids(sends)])


def test_what_is_not_in_doubt_cannot_be_resolved_and_all_stays(operations, ledger):
    doubtful, sent = a_send("c-1"), a_send("c-2")
    hand_over(ledger, doubtful, then="in_doubt")
    hand_over(ledger, sent, then="sent")

    for wrong in (sent.send_id, "f" * 32):
        with pytest.raises(EngageError, match=f"send {wrong} is not in doubt; none of the 2 was changed"):
            operations.resolve([doubtful.send_id, wrong], "failed", "ada", NOW)
    with pytest.raises(EngageError, match="resolved as sent or failed, not as 'planned'"):
        operations.resolve([doubtful.send_id], "planned", "ada", NOW)
    assert ledger.states(CAMPAIGN) == {"in_doubt": 1, "sent": 1}
    assert acts(operations) == []


def test_a_key_is_kept_by_its_hash_until_it_is_revoked(operations, ledger):
    contacts, other = (
        SqlContacts(ledger.database),
        replace(KEY, key_id="k-2", scopes=frozenset(), created_at=NOW - SECOND),
    )
    operations.add_key(KEY, "ada")
    operations.add_key(other, "ada")

    assert operations.api_keys() == [other, KEY]
    assert contacts.api_key("k-1") == KEY
    assert contacts.api_key("k-2") == other

    assert operations.revoke_key("k-1", "bob", NOW + SECOND)
    assert not operations.revoke_key("k-1", "bob", NOW + SECOND)
    assert not operations.revoke_key("nobody's", "bob", NOW)
    assert contacts.api_key("k-1") == replace(KEY, revoked_at=NOW + SECOND)
    assert acts(operations) == [
        ("ada", "make_key", "k-1", NOW),
        ("ada", "make_key", "k-2", NOW - SECOND),
        ("bob", "revoke_key", "k-1", NOW + SECOND),
    ]
    assert "a" * 64 not in "".join(operations.audit()["details"])


def test_an_alert_is_told_once_per_cause(operations):
    assert operations.raise_alert("run:2", "a run failed", NOW + SECOND)
    assert operations.raise_alert("run:1", "a run failed", NOW)
    assert not operations.raise_alert("run:1", "once more", NOW + SECOND)

    assert operations.untold() == [Alert("run:1", "a run failed", NOW), Alert("run:2", "a run failed", NOW + SECOND)]
    operations.told(["run:1", "unknown"], NOW + SECOND)
    operations.told([], NOW + SECOND)
    assert [alert.cause for alert in operations.untold()] == ["run:2"]
    assert not operations.raise_alert("run:1", "told already", NOW + SECOND)
    assert [alert.cause for alert in operations.untold()] == ["run:2"]


def test_acts_beside_the_ledger_are_noted(operations):
    operations.note("rotate_keys", "links", "k-2 signs", "ada", NOW)

    assert operations.audit().rows() == [(NOW, "ada", "rotate_keys", "links", "k-2 signs")]


def test_a_check_writes_nothing_and_names_the_database(operations, ledger):
    found = operations.check()

    assert found["database"].split()[0] == ledger.url.split(":")[0].split("+")[0]
    assert found["schema"] == str(tables.SCHEMA_VERSION)
    assert acts(operations) == []
