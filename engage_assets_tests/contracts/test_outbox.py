"""The outbox: entries are there if and only if what caused them is, in order, until they are done."""

import pytest
from sqlalchemy import select

from engage_assets.domain.responses import OutboxEntry
from engage_assets.domain.sends import Move
from engage_assets.ledger import tables
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.outbox import SqlOutbox, put
from engage_assets_tests.contracts.sends import NOW, SECOND, a_send, hand_over, ids


@pytest.fixture
def outbox(ledger: SqlLedger) -> SqlOutbox:
    return SqlOutbox(ledger.database)


def leave(ledger: SqlLedger, topic: str, *values: str) -> None:
    with ledger.database.writing() as connection:
        put(connection, topic, [{"value": value} for value in values], NOW)


def values(entries: list[OutboxEntry]) -> list[str]:
    return [entry.payload["value"] for entry in entries]


def test_entries_wait_in_the_order_in_which_they_were_left(ledger, outbox):
    leave(ledger, "response", "1", "2")
    leave(ledger, "candidate_status", "3")
    leave(ledger, "response", "4")

    everything = outbox.waiting(["response", "candidate_status"], 10)

    assert values(everything) == ["1", "2", "3", "4"]
    assert [(entry.topic, entry.created_at) for entry in everything[1:3]] == [
        ("response", NOW),
        ("candidate_status", NOW),
    ]
    assert values(outbox.waiting(["response"], 2)) == ["1", "2"]
    assert outbox.waiting(["customer_opted_out"], 10) == outbox.waiting([], 10) == []


def test_what_is_done_waits_no_more_and_is_done_once(ledger, outbox):
    leave(ledger, "response", "1", "2", "3")
    first, second, _ = outbox.waiting(["response"], 10)

    outbox.done([second.entry_id, first.entry_id], NOW)
    outbox.done([second.entry_id, second.entry_id, 10**9], NOW + SECOND)
    outbox.done([], NOW)

    assert values(outbox.waiting(["response"], 10)) == ["3"]
    with ledger.database.reading() as connection:
        done = connection.execute(select(tables.outbox.c.done_at).order_by(tables.outbox.c.entry_id)).scalars().all()
    assert done == [NOW, NOW, None]


def test_an_entry_is_seen_once_its_transaction_is_over_and_not_before(ledger, outbox):
    with ledger.database.writing() as connection:
        put(connection, "response", [{"value": "1"}], NOW)
        assert outbox.waiting(["response"], 10) == []
    assert values(outbox.waiting(["response"], 10)) == ["1"]


def test_an_entry_of_a_transaction_that_fails_never_was(ledger, outbox):
    def break_off() -> None:
        with ledger.database.writing() as connection:
            put(connection, "response", [{"value": "1"}], NOW)
            raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        break_off()
    assert outbox.waiting(["response"], 10) == []


def test_a_solicitation_that_was_sent_makes_its_candidate_delivered(ledger, outbox):
    asks = [a_send("c-1"), a_send("c-2", subject_type="track", marketplace="FR")]
    reminder, failed = a_send("c-3", is_solicitation=False), a_send("c-4")
    hand_over(ledger, *asks, reminder, failed)

    ends = [Move(one, "sent") for one in ids([*asks, reminder])] + [Move(failed.send_id, "failed")]
    ledger.settle(ends, NOW)
    ledger.settle(ends[:3], NOW + SECOND)

    common = {"program": "product-reviews", "subject_id": "p-1", "channel": "email"}
    common |= {"status": "delivered", "at": NOW.isoformat()}
    entries = outbox.waiting(["candidate_status"], 10)
    assert sorted((entry.payload for entry in entries), key=lambda payload: payload["customer_id"]) == [
        {**common, "customer_id": "c-1", "marketplace": "DE", "subject_type": "product"},
        {**common, "customer_id": "c-2", "marketplace": "FR", "subject_type": "track"},
    ]
