"""What is checked again at the send, before a delivery, and while it runs."""

import shutil
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from engage_assets.dispatch.relay import relay
from engage_assets.domain.errors import DeliveryRefused
from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.responses import Interaction, Response
from engage_assets.domain.sends import Answer, Send
from engage_assets.domain.slots import next_slot
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.watermark import Watermark
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_customer, a_program, instant
from engage_assets_tests.defs.small_campaigns import DAY, INSTANT, SLOT, SmallCampaign

MINUTE = timedelta(minutes=1)
CAMPAIGN = f"product-reviews:email:{DAY}:DE"


def with_email(**changes):
    channel = PRODUCT_REVIEWS["channels"][0]
    return a_program(channels=[channel | changes])


def key_of(customer):
    return CandidateKey(customer, "product-reviews", "DE", "product", "p-1")


def test_each_fact_of_the_moment_bars_its_send_with_its_reason(tmp_path):
    """Every person's list was right when it was made; what happened since is seen at the send."""
    expected = {
        "fine": ("sent", None),
        "gone": ("skipped", "UNKNOWN_CUSTOMER"),
        "tester": ("skipped", "TEST_ACCOUNT"),
        "no-address": ("skipped", "CHANNEL_INELIGIBLE"),
        "bad-address": ("failed", "MESSAGE_INVALID"),
        "returner": ("skipped", "RETURNED"),
        "reviewer": ("skipped", "ALREADY_ANSWERED"),
        "answerer": ("skipped", "ALREADY_ANSWERED"),
        "crm-opt-out": ("skipped", "OPTED_OUT"),
        "opt-out": ("skipped", "OPTED_OUT"),
        "bouncer": ("skipped", "SUPPRESSED"),
        "imported": ("skipped", "SUPPRESSED"),
        "consumer": ("skipped", "CANDIDATE_ENDED"),
    }
    campaign = SmallCampaign(tmp_path, expected)
    changed = {
        "tester": {"is_test": True},
        "no-address": {"email": " "},
        "bad-address": {"email": "no address"},
    }
    people = [
        a_customer(customer_id=one, email=f"{one}@example.invalid") | changed.get(one, {})
        for one in expected
        if one != "gone"
    ]
    campaign.input("customers", *people)
    before = SLOT - MINUTE
    campaign.input("returns", {"order_id": "o-1", "product_id": "p-1", "returned_at": before})
    campaign.input("reviews", {"customer_id": "reviewer", "product_id": "p-1", "reviewed_at": before})
    campaign.input("opt_outs", {"customer_id": "crm-opt-out", "at": before})
    order = [("d-1", "o-1" if one == "returner" else "o-2") for one in expected]
    messages = campaign.messages().with_columns(record_id=pl.col("customer_id"))
    campaign.lake.write(("product_reviews", "email_campaigns"), str(DAY), messages)
    carried = pl.DataFrame({"record_id": list(expected), "order_id": [one for _, one in order]})
    carried = carried.with_columns(order_value=pl.lit(1.0))
    campaign.lake.write(("product_reviews", "candidates"), str(DAY), carried)
    contacts = SqlContacts(campaign.database)
    contacts.respond(Response("product-reviews", "answerer", "DE", "product", "p-1", 5, before), before)
    campaign.ledger.opt_out("opt-out", before)
    campaign.operations.suppress(["bouncer"], ["IMPORTED@example.invalid "], "ada", "list.csv", before)
    campaign.store.advance([StatusChange(key_of("consumer"), "consumed", before)])

    campaign.deliver()

    assert campaign.fates() == expected
    assert len(campaign.outbox()) == 1


@pytest.mark.parametrize("maker", ["Paper Lanterns", None])
def test_the_page_is_told_who_made_the_subject(tmp_path, maker):
    """Campaigns that were rendered before makers were told have no such column."""
    campaign = SmallCampaign(tmp_path, ["c-1"])
    messages = campaign.messages()
    told = messages.with_columns(subject_maker=pl.lit(maker)) if maker else messages.drop("subject_maker")
    campaign.lake.write(("product_reviews", "email_campaigns"), str(DAY), told)

    campaign.deliver()

    send = SqlContacts(campaign.database).send(messages["send_id"].item())
    assert (send.state, send.subject_name, send.subject_maker) == ("sent", "Kettle", maker)


def test_a_subject_that_closed_bars_all_of_its_sends(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1"])
    campaign.input("products", {"product_id": "p-1", "name": "Kettle", "is_reviewable": False})

    campaign.deliver()

    assert campaign.fates() == {"c-1": ("skipped", "SUBJECT_CLOSED")}


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (a_program(quietHours={"from": "09:30", "to": "11:00"}), "QUIET_HOURS"),
        (a_program(quietHours={"from": "22:00", "to": "10:01"}), "QUIET_HOURS"),
        (with_email(shadow=True), "SHADOW"),
    ],
)
def test_quiet_hours_and_shadow_mode_do_everything_but_the_transport(tmp_path, program, reason):
    campaign = SmallCampaign(tmp_path, ["c-1"], program)

    campaign.deliver()

    assert campaign.fates() == {"c-1": ("skipped", reason)}
    assert not campaign.outbox()


def test_the_candidates_status_follows_what_was_sent(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2"])
    campaign.ledger.opt_out("c-2", SLOT)
    campaign.deliver()

    relay(campaign.waiting, campaign.store, SLOT)
    relay(campaign.waiting, campaign.store, SLOT)

    assert campaign.store.get(key_of("c-1"), SLOT)["status"] == "delivered"
    assert campaign.store.get(key_of("c-2"), SLOT) is None


def test_a_stop_holds_until_it_is_lifted(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1"])
    campaign.operations.stop("product-reviews", "wrong picture", "ada", SLOT)

    assert "stopped by ada: wrong picture" in campaign.deliver().halted
    assert not campaign.outbox()

    campaign.operations.resume("product-reviews", "ada", SLOT)
    campaign.deliver(SLOT + 15 * MINUTE)
    assert len(campaign.outbox()) == 1
    assert campaign.operations.audit()["act"].to_list() == ["stop", "resume"]


def test_a_stop_of_a_marketplace_holds_all_of_its_campaigns(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2", "c-3"])
    segments = {"c-1": f"{CAMPAIGN}:Pop", "c-2": f"{CAMPAIGN}:Folk", "c-3": f"{CAMPAIGN}X"}
    campaign.render(*({"customer_id": one, "campaign_id": its} for one, its in segments.items()))
    campaign.operations.stop(CAMPAIGN, "wrong picture", "ada", SLOT)

    campaign.deliver()
    assert {one: state for one, (state, _) in campaign.fates().items()} == {
        "c-1": "planned",
        "c-2": "planned",
        "c-3": "sent",
    }
    campaign.operations.resume(CAMPAIGN, "ada", SLOT)
    campaign.deliver(SLOT + 15 * MINUTE)
    assert len(campaign.outbox()) == 3


def test_a_stop_while_it_runs_acts_within_a_batch(tmp_path):
    people = [f"c-{number:04}" for number in range(600)]
    campaign = SmallCampaign(tmp_path, people)
    claim = campaign.ledger.claim

    def claim_and_stop(*arguments):
        campaign.operations.stop("product-reviews", "stop", "ada", SLOT)
        return claim(*arguments)

    campaign.ledger.claim = claim_and_stop
    campaign.deliver()

    sent = len(campaign.outbox())
    assert sent <= 400
    states = campaign.ledger.states(CAMPAIGN)
    assert (states["planned"], states.get("sent", 0)) == (600 - sent, sent)


def test_too_many_bounces_pause_a_campaign_and_tell_once(tmp_path):
    people = [f"c-{number:04}" for number in range(40)]
    campaign = SmallCampaign(tmp_path, people)
    later = SLOT + timedelta(hours=1)
    campaign.render(*({"customer_id": one, "slot_at": SLOT if at < 20 else later} for at, one in enumerate(people)))
    campaign.deliver(SLOT)
    bounces = [
        Interaction(f"b-{send_id}", send_id, "bounce", SLOT, "generic", is_permanent=True)
        for send_id in campaign.outbox()[:8]
    ]
    SqlContacts(campaign.database).record(bounces, SLOT + MINUTE)

    campaign.deliver(later)
    campaign.deliver(later + 15 * MINUTE)

    assert len(campaign.outbox()) == 20
    assert "8 bounces of 20 sent" in campaign.operations.stopped([CAMPAIGN])[0].reason
    assert [alert.cause for alert in campaign.operations.untold()] == [f"pause:{CAMPAIGN}"]


def refusals(campaign, now=SLOT, program=None):
    return {
        finding.check: finding.why for found in campaign.deliver(now, program).refusals.values() for finding in found
    }


def test_an_unusual_volume_is_kept_back_and_says_the_arithmetic(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1"])
    for weeks, count in enumerate((980, 1000, 1010, 1005), start=1):
        campaign.records(count, DAY - timedelta(weeks=weeks))
    campaign.records(500)

    assert refusals(campaign)["volume"].startswith("500 input records, outside ")
    assert not campaign.outbox()

    campaign.records(1000)
    assert not refusals(campaign)
    assert len(campaign.outbox()) == 1


def test_with_few_earlier_days_a_person_approves_and_a_changed_audience_voids_it(tmp_path):
    people = [f"c-{number}" for number in range(10)]
    campaign = SmallCampaign(tmp_path, people)
    for weeks in (3, 4):
        campaign.lake.path(("product_reviews", "raw_deliveries"), str(DAY - timedelta(weeks=weeks))).unlink()
    assert "only 2 earlier same weekdays of the 4 needed" in refusals(campaign)["volume"]

    campaign.approve()
    campaign.render(*({"customer_id": one} for one in people[:7]))
    assert "its audience changed by 30% since ada approved it" in refusals(campaign)["volume"]

    campaign.render(*({"customer_id": one} for one in people[:8]))
    assert not refusals(campaign)
    assert len(campaign.outbox()) == 8


def test_a_program_that_asks_for_approval_waits_for_it(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1"], a_program(approval="required"))
    assert refusals(campaign).keys() == {"approval"}

    campaign.approve()
    assert not refusals(campaign)
    assert len(campaign.outbox()) == 1


def test_many_campaigns_are_asked_for_in_one_line(tmp_path):
    people = [f"c-{number}" for number in range(9)]
    campaign = SmallCampaign(tmp_path, people, a_program(approval="required"))
    campaign.render(*({"customer_id": one, "campaign_id": f"{CAMPAIGN}:{one}"} for one in people))
    asked = refusals(campaign)["approval"]
    assert asked.startswith("9 of 9 campaigns are not approved, or no longer;")
    assert f"`engage approve product-reviews --date {DAY}`" in asked
    assert asked.count("product-reviews:email:") == 3
    assert f"{CAMPAIGN}:c-0: not approved" in asked

    campaign.approve()
    assert not refusals(campaign)
    assert len(campaign.outbox()) == 9


def test_an_old_batch_open_counts_a_store_that_differs_and_a_slow_transport_keep_a_campaign_back(tmp_path):
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2", "c-3"])
    late = INSTANT + timedelta(hours=28, minutes=1)
    campaign.render(*({"customer_id": one, "slot_at": late} for one in campaign.people))
    assert "its lists are sent until 2026-11-21 06:00" in refusals(campaign, late)["lateness"]

    campaign.render(*({"customer_id": one} for one in campaign.people))
    campaign.records(3, decided=2)
    campaign.store.put(campaign.program, DAY, [], INSTANT)
    scored = pl.DataFrame({"customer_id": ["c-1"], "marketplace": ["DE"], "subject_id": ["p-1"], "score": [0.1]})
    campaign.lake.write(("product_reviews", "scored_candidates"), str(DAY), scored)
    campaign.store_candidates()
    campaign.lake.write(("product_reviews", "scored_candidates"), str(DAY), scored)
    campaign.sender.per_second = 3 / 7201
    found = refusals(campaign, SLOT)

    assert found.keys() == {"counts_close", "store_agrees", "pace"}
    assert found["counts_close"].startswith("records 3, decisions 2")
    assert "3 with another score" in found["store_agrees"]
    assert "longer than the send window of 2 h" in found["pace"]
    assert not campaign.outbox()


def test_a_restored_ledger_sends_nothing_again(tmp_path):
    """Yesterday's backup knows nothing of this morning; what is due later goes out once the restore is accepted."""
    campaign = SmallCampaign(tmp_path, ["c-1", "c-2"])
    later = SLOT + timedelta(hours=1)
    campaign.render({"customer_id": "c-1"}, {"customer_id": "c-2", "slot_at": later})
    campaign.deliver(SLOT - timedelta(hours=3))
    campaign.database.close()
    database = tmp_path / "ledger.db"
    shutil.copy(database, tmp_path / "backup.db")
    campaign.open_ledger()
    campaign.deliver(SLOT)
    first = campaign.outbox()
    campaign.database.close()

    shutil.copy(tmp_path / "backup.db", database)
    for path in campaign.home.outbox.rglob("*.eml"):
        path.unlink()
    campaign.open_ledger()
    with pytest.raises(DeliveryRefused, match=r"the ledger went back in time.*engage ledger accept-restore"):
        campaign.deliver(SLOT + 15 * MINUTE)
    Watermark(campaign.home.watermark).accept(campaign.ledger, SLOT + 20 * MINUTE)
    campaign.deliver(SLOT + 30 * MINUTE)
    assert not campaign.outbox()

    campaign.deliver(later)
    assert len(campaign.outbox()) == 1
    assert campaign.outbox() != first
    campaign.deliver(later + timedelta(hours=3))
    assert campaign.fates()["c-1"] == ("skipped", "SEND_WINDOW_MISSED")


ZONES = {
    "US": "America/New_York",
    "UK": "Europe/London",
    "DE": "Europe/Berlin",
    "FR": "Europe/Paris",
    "JP": "Asia/Tokyo",
}


@pytest.mark.parametrize(
    ("day", "at"),
    [
        ("2026-03-08 02:00", "02:30"),  # New York's gap
        ("2026-03-29 02:00", "10:00"),  # Europe's gap
        ("2026-10-24 02:00", "01:30"),  # Europe's fold, London's too
        ("2026-11-01 02:00", "10:00"),  # New York's fold
    ],
)
def test_everybody_is_written_to_at_his_local_time_or_not_at_all(tmp_path, day, at):
    """A tick every quarter of an hour around each slot, every hour else: each message at its clock time, the first."""
    start, clock = instant(day), time.fromisoformat(at)
    program = a_program(candidateTTLDays=400)
    campaign = SmallCampaign(tmp_path, list(ZONES), program)
    slots = {code: next_slot(zone, clock, start) for code, zone in ZONES.items()}
    campaign.render(
        *(
            {"customer_id": code, "time_zone": ZONES[code], "slot_local": local, "slot_at": due}
            for code, (local, due) in slots.items()
        )
    )
    partition = program.cadence.partition_of(start + timedelta(hours=2))
    for name in ("email_campaigns", "raw_deliveries", "decisions", "scored_candidates"):
        moved = campaign.lake.path(("product_reviews", name), str(partition))
        shutil.copy(campaign.lake.path(("product_reviews", name), str(DAY)), moved)
        if partition != DAY:
            campaign.lake.path(("product_reviews", name), str(DAY)).unlink()
    sent: dict[str, datetime] = {}
    for quarter in range(4 * 36):
        now = start + quarter * 15 * MINUTE
        is_near = any(abs(now - due) <= 90 * MINUTE for _, due in slots.values())
        if quarter % 4 and not is_near:
            continue
        campaign.at(now)
        before = set(campaign.outbox())
        campaign.approve_all(partition)
        campaign.deliver(now)
        sent |= dict.fromkeys(set(campaign.outbox()) - before, now)

    messages = campaign.lake.scan(("product_reviews", "email_campaigns"), str(partition)).collect()
    due = {row["send_id"]: row for row in messages.iter_rows(named=True)}
    assert sent.keys() == due.keys()
    for send_id, now in sent.items():
        row = due[send_id]
        assert timedelta() <= now - row["slot_at"] < 15 * MINUTE
        local = row["slot_at"].replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(row["time_zone"]))
        shown = local.time().replace(tzinfo=None)
        assert shown == clock or (at == "02:30" and shown == time(3) and row["time_zone"] == "America/New_York")
        assert local.fold == 0


def test_after_a_person_lets_a_paused_campaign_go_on_only_what_follows_counts(tmp_path):
    people = [f"c-{number:04}" for number in range(40)]
    campaign = SmallCampaign(tmp_path, people)
    later = SLOT + timedelta(hours=1)
    campaign.render(*({"customer_id": one, "slot_at": SLOT if at < 20 else later} for at, one in enumerate(people)))
    campaign.deliver(SLOT)
    bounces = [
        Interaction(f"b-{send_id}", send_id, "bounce", SLOT, "generic", is_permanent=True)
        for send_id in campaign.outbox()[:8]
    ]
    SqlContacts(campaign.database).record(bounces, SLOT + MINUTE)
    campaign.deliver(later)
    assert len(campaign.outbox()) == 20

    campaign.operations.resume(CAMPAIGN, "ada", later + MINUTE)
    campaign.deliver(later + 15 * MINUTE)

    assert len(campaign.outbox()) == 40


def test_what_the_transport_refuses_for_good_counts_as_a_bounce_and_is_not_written_to_again(tmp_path):
    people = [f"c-{number:04}" for number in range(40)]

    class Refusing:
        transport, leaves_machine, lines, per_second = "smtp", False, 1, None

        def open(self):
            return self

        def hand_over(self, letter):
            return Answer("failed", "TRANSPORT_REFUSED 550 5.1.1")

        def close(self):
            pass

    campaign = SmallCampaign(tmp_path, people, sender=Refusing())
    later = SLOT + timedelta(hours=1)
    campaign.render(*({"customer_id": one, "slot_at": SLOT if at < 20 else later} for at, one in enumerate(people)))
    campaign.deliver(SLOT)
    campaign.deliver(later)

    assert campaign.ledger.states(CAMPAIGN) == {"planned": 20, "failed": 20}
    assert "20 bounces of 20 sent" in campaign.operations.stopped([CAMPAIGN])[0].reason
    again = Send("product-reviews", CAMPAIGN, people[0], "p-2", "email", later, "product-reviews")
    campaign.ledger.plan([again], later)
    assert campaign.ledger.claim([again.send_id], later).refused == {again.send_id: "SUPPRESSED"}
