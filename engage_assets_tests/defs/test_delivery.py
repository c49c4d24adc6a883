"""Deliveries: at their slot, once, by a tick or with a person's word; never in a backfill."""

from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import polars as pl
import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.cli.operate import approve_campaigns
from engage_assets.clocks import DeclaredClock
from engage_assets.defs.delivery import require_permission
from engage_assets.domain.errors import DeliveryRefused, EngageError
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.defs.homes import DAY, PROGRAM, at, batch_instant
from engage_assets_tests.defs.small_campaigns import SLOT, SmallCampaign

CONFIRMED = {"engage/deliver": "confirmed"}


def slots(home: Path) -> pl.DataFrame:
    path = home / "lake" / "product_reviews" / "email_campaigns" / f"{DAY}.parquet"
    return pl.read_parquet(path).group_by("slot_at").len().sort("slot_at")


def approve(home: Path) -> None:
    """A person's word for the audiences: a new home has no earlier days to tell whether its volume is usual."""
    approve_campaigns(at(home, batch_instant()), PROGRAM, DAY)


def deliver(home: Path, now: datetime, tags: dict[str, str] | None = None) -> None:
    approve(home)
    at(home, now).run("product_reviews_delivery", tags=CONFIRMED if tags is None else tags)


def outbox(home: Path) -> list[Path]:
    return sorted((home / "outbox").rglob("*.eml"))


def test_each_message_goes_out_at_its_slot_and_never_again(own):
    due, minute = slots(own), timedelta(minutes=1)
    deliver(own, due["slot_at"][0] - minute)
    assert not outbox(own)
    expected = 0
    for slot, count in due.iter_rows():
        deliver(own, slot)
        expected += count
        assert len(outbox(own)) == expected
    deliver(own, due["slot_at"][-1] + 15 * minute)
    assert len(outbox(own)) == expected

    messages = [message_from_bytes(path.read_bytes()) for path in outbox(own)]
    assert len({message["Message-ID"] for message in messages}) == slots(own)["len"].sum()
    assert all(message["To"].endswith("@example.invalid") for message in messages)
    assert not any(
        "%%" in part.get_payload(decode=True).decode()
        for m in messages
        for part in m.walk()
        if part.get_content_maintype() == "text"
    )


def test_what_nobody_delivered_in_its_window_or_for_days_is_skipped_with_its_reason(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2"])
    later = SLOT + timedelta(hours=8)
    campaign.render({"customer_id": "c-1"}, {"customer_id": "c-2", "slot_at": later})
    campaign.deliver(SLOT + timedelta(hours=2, minutes=1))
    assert campaign.fates() == {"c-1": ("skipped", "SEND_WINDOW_MISSED"), "c-2": ("planned", None)}

    campaign.deliver(SLOT + timedelta(days=6))
    assert set(campaign.fates().values()) == {("skipped", "SEND_WINDOW_MISSED")}
    assert not campaign.outbox()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({}, "nobody confirmed"),
        ({"engage/deliver": "confirmed", "dagster/backfill": "abc"}, "a backfill never sends"),
    ],
)
def test_refusals(own, tags, said):
    with pytest.raises(EngageError, match=said):
        deliver(own, slots(own)["slot_at"][0], tags)
    assert not outbox(own)


def test_a_declared_clock_never_leaves_the_machine(own):
    class Outgoing(DryRunSender):
        transport = "smtp"
        leaves_machine = True

    with pytest.raises(DeliveryRefused, match="clock is declared"):
        require_permission(
            at(own).program(PROGRAM), CONFIRMED, Outgoing(own / "outbox"), DeclaredClock(batch_instant())
        )


def test_figures_show_what_was_sent_and_what_is_pending(own):
    first, count = slots(own).row(0)
    deliver(own, first)
    night = {"config": {"as_of": str(DAY + timedelta(days=1))}}
    ops = {f"product_reviews__{name}": night for name in ("measure", "report")}
    at(own, first + timedelta(hours=14)).run("product_reviews_metrics", DAY, config={"ops": ops})

    path = own / "lake" / "product_reviews" / "daily_metrics" / str(DAY) / f"{DAY + timedelta(days=1)}.parquet"
    figures = dict(pl.read_parquet(path).filter(dimension="all").select("metric", "value").iter_rows())
    total = slots(own)["len"].sum()
    assert figures["sent"] == count
    assert figures["pending"] == total - count
    assert figures["open_rate"] is None


def test_a_transport_that_breaks_stops_the_delivery_and_what_was_on_its_way_stays_in_doubt(own):
    first, count = slots(own).row(0)
    (own / "outbox").write_text("a file where the folder should be")
    with pytest.raises(EngageError, match="NotADirectoryError"):
        deliver(own, first)
    (own / "outbox").unlink()
    deliver(own, first + timedelta(minutes=15))

    ledger = SqlLedger(at(own).home.ledger_url)
    doubtful = ledger.in_doubt(PROGRAM)
    ledger.close()
    lost, sent = set(doubtful["send_id"]), {path.stem for path in outbox(own)}
    assert set(doubtful["reason"]) == {"NO_ANSWER"}
    assert len(lost) <= 3  # then the line is given up, and the others go back
    assert not lost & sent
    assert len(lost) + len(sent) == count


def test_a_rebuilt_list_with_other_slots_asks_nobody_twice(tmp_path):
    """Sent is sent; what was only planned moves to the new slot."""
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2", "c-3"])
    hour = timedelta(hours=1)
    due = dict(zip(campaign.people, (SLOT, SLOT + hour, SLOT + 2 * hour), strict=True))
    campaign.render(*({"customer_id": one, "slot_at": slot} for one, slot in due.items()))
    campaign.deliver(SLOT)
    campaign.render(*({"customer_id": one, "slot_at": slot + hour} for one, slot in due.items()))
    for hours in range(1, 4):
        campaign.deliver(SLOT + hours * hour)

    assert len(campaign.outbox()) == 3
    events = campaign.ledger.send_events(None, SLOT + timedelta(days=1))
    assert events.filter(state="sent")["customer_id", "subject_id"].is_unique().all()
    assert set(events.filter(reason="REPLANNED")["customer_id"]) == {"c-2", "c-3"}


def test_a_disabled_program_sends_nothing(own):
    program = at(own).program(PROGRAM).model_copy(update={"enabled": False})
    with pytest.raises(DeliveryRefused, match="is disabled"):
        require_permission(program, CONFIRMED, DryRunSender(own / "outbox"), DeclaredClock(batch_instant()))
