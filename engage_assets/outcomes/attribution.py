"""What came of each send: what people and machines did with it, and the answer that belongs to it."""

from datetime import date, datetime, time
from typing import Any, Final

import narwhals as nw

from engage_assets.domain.answers import as_they_stood
from engage_assets.domain.program import Program
from engage_assets.domain.tables import OUTCOMES, RESPONSES_LOG
from engage_assets.outcomes.states import FATE, last_states, of_partition

Frame = nw.LazyFrame[Any]

NIGHT: Final = time(23, 59)
"""When outcomes and figures are taken, UTC."""
ANSWER_DAYS: Final = 14
"""An answer belongs to a send at most so many days before it, both ends included."""

_COUNTED: Final = ("sent", "in_doubt")
_EXPLAINED: Final = ("skipped", "failed", "in_doubt")
_COUNTS: Final = ("human_opens", "machine_opens", "human_clicks", "machine_clicks")


def outcomes(
    sends: Frame, interactions: Frame, responses: Frame, *, program: Program, partition: date, as_of: date
) -> Frame:
    """OUTCOMES: one row per send of the partition's campaigns, as known at 23:59 UTC of `as_of`.

    `sends` (SENDS_LOG) holds all events of the partition's sends and of the program's other sends since
    `ANSWER_DAYS` before the first of them: an answer may belong to a later or an earlier one. `interactions` and
    `responses` (the logs of the ledger) come in any order, also repeated; what was received later is not known yet.
    Opens and clicks are counted as recorded: a click does not make an open.
    """
    night = datetime.combine(as_of, NIGHT)
    events = sends.filter(nw.col("program") == program.program_id)
    own = last_states(events.filter(of_partition(program, partition)), night)
    owned = _owned(events, _answers(responses, program, night), night)
    joined = own.join(_by_send(interactions, night), on="send_id", how="left").join(owned, on="send_id", how="left")
    outcome = nw.when(~nw.col("response_id").is_null()).then(nw.lit("responded")).otherwise(_fate())
    sent_at = nw.when(nw.col("state").is_in(list(_COUNTED))).then(nw.col("handed_over_at"))
    return (
        joined.with_columns(
            *(nw.col(name).fill_null(0).cast(nw.Int64) for name in _COUNTS),
            partition_date=nw.lit(partition),
            as_of=nw.lit(as_of),
            marketplace=marketplace_of(program, partition),
            outcome=outcome,
            sent_at=sent_at,
            is_hard_bounce=nw.col("is_hard_bounce") > 0,
        )
        .with_columns(reason=nw.when(nw.col("outcome").is_in(list(_EXPLAINED))).then(nw.col("reason")))
        .select(OUTCOMES.names)
    )


def unsolicited(sends: Frame, responses: Frame, *, program: Program, partition: date, as_of: date) -> Frame:
    """RESPONSES_LOG rows that belong to no send, as known at 23:59 UTC of `as_of`.

    Those of the partition: submitted in (its batch instant, the next one]. `sends` as for `outcomes`.
    """
    night = datetime.combine(as_of, NIGHT)
    since = program.cadence.batch_instant(partition)
    events = sends.filter(nw.col("program") == program.program_id)
    answers = _answers(responses, program, night)
    own = answers.filter(nw.col("at") > since, nw.col("at") <= since + program.cadence.step)
    return own.join(_owned(events, own, night), on="response_id", how="anti").select(RESPONSES_LOG.names)


def _answers(responses: Frame, program: Program, night: datetime) -> Frame:
    """The program's answers as they stood at `night`, one per customer and subject."""
    own = responses.filter(nw.col("program") == program.program_id)
    return as_they_stood(own, night).unique(["customer_id", "subject_id"], keep="any")


def _owned(events: Frame, answers: Frame, night: datetime) -> Frame:
    """Each answer and the send that owns it: the counted one whose link was used, else the latest.

    Columns: `send_id`, `response_id`, `responded_at`, `rating`, `is_positive`.
    """
    asked_about = answers.select("customer_id", "subject_id")
    known = last_states(events.join(asked_about, on=["customer_id", "subject_id"], how="semi"), night)
    counted = known.filter(nw.col("state").is_in(list(_COUNTED)), nw.col("is_solicitation").fill_null(True))
    asked = counted.select("send_id", "customer_id", "subject_id", "handed_over_at")
    given = answers.select(
        *("response_id", "customer_id", "subject_id", "rating", "is_positive"),
        nw.col("at").alias("responded_at"),
        nw.col("send_id").alias("link_of"),
    )
    owners = given.join(asked, on=["customer_id", "subject_id"]).filter(
        nw.col("handed_over_at") <= nw.col("responded_at"),
        nw.col("responded_at") <= nw.col("handed_over_at").dt.offset_by(f"{ANSWER_DAYS}d"),
    )
    used = owners.with_columns(is_used=(nw.col("send_id") == nw.col("link_of")).fill_null(False).cast(nw.Int64))
    nearest = used.filter(nw.col("is_used") == nw.col("is_used").max().over("response_id"))
    latest = nearest.filter(nw.col("handed_over_at") == nw.col("handed_over_at").max().over("response_id"))
    one = latest.filter(nw.col("send_id") == nw.col("send_id").max().over("response_id"))
    return one.select("send_id", "response_id", "responded_at", "rating", "is_positive")


def _by_send(interactions: Frame, night: datetime) -> Frame:
    """What was recorded of each send by `night`: counts and first instants."""
    once = interactions.filter(nw.col("received_at") <= night).unique(["event_id"], keep="any")
    is_human = nw.col("machine_rule").is_null()
    flags = {
        "human_opens": (nw.col("kind") == "open") & is_human,
        "machine_opens": (nw.col("kind") == "open") & ~is_human,
        "human_clicks": (nw.col("kind") == "click") & is_human,
        "machine_clicks": (nw.col("kind") == "click") & ~is_human,
    }
    instants = {
        "first_open_at": flags["human_opens"],
        "first_click_at": flags["human_clicks"],
        "delivered_at": nw.col("kind") == "delivered",
        "displayed_at": (nw.col("kind") == "displayed") & is_human,
        "bounced_at": nw.col("kind") == "bounce",
        "complained_at": nw.col("kind") == "complaint",
    }
    hard = nw.when(nw.col("is_permanent").fill_null(False)).then(nw.lit(1)).otherwise(nw.lit(0))
    marked = once.with_columns(
        *(nw.when(flag).then(nw.lit(1)).otherwise(nw.lit(0)).alias(name) for name, flag in flags.items()),
        *(nw.when(flag).then(nw.col("at")).alias(name) for name, flag in instants.items()),
        nw.when(nw.col("kind") == "bounce").then(hard).alias("is_hard_bounce"),
    )
    return marked.group_by("send_id").agg(
        *(nw.col(name).sum() for name in flags),
        *(nw.col(name).min() for name in instants),
        nw.col("is_hard_bounce").max(),
    )


def _fate() -> nw.Expr:
    """What a send's state stands for while nobody has answered."""
    fate = nw.lit("pending")
    for state, meaning in FATE.items():
        if meaning != "pending":
            fate = nw.when(nw.col("state") == state).then(nw.lit(meaning)).otherwise(fate)
    return fate


def marketplace_of(program: Program, partition: date) -> nw.Expr:
    """The segment of the campaign that names the marketplace; null where it has none."""
    head = f"^{program.program_id}:[^:]+:{partition.isoformat()}:?"
    named = nw.col("campaign_id").str.replace_all(head, "").str.replace_all(":.*$", "")
    return nw.when(named != "").then(named)
