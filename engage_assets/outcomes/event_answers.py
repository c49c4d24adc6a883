"""What people said of events, what they were told besides, and what a registration and an attendee cost."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from engage_assets.domain.channel_specs import PushChannel
from engage_assets.domain.notices import KINDS
from engage_assets.outcomes.event_people import with_seat
from engage_assets.outcomes.event_slices import EVERYTHING, Counts, counted, counts, events_of, ratios
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.rows import Figure, count, missing, ratio

RATINGS: Final = ("1", "2", "3", "4", "5")
PUSH: Final = ("push_sent", "push_open_rate", "push_click_through_rate")
COSTS: Final = ("cost_per_registration", "cost_per_attendee")


def survey_figures(tables: EventTables) -> Iterator[Figure]:
    """Answers of the survey, their mean, and the share of those asked who answered."""
    answers, wanted = tables.answers, events_of(tables.states)
    given = counted(answers)
    yield from counts("survey_answers", given, wanted, "answers of people who came, one each")
    for rating in RATINGS:
        number = answers.filter(pl.col("rating") == int(rating)).height
        yield count("survey_answers", number, "answers with this rating", "rating", rating)
        for _, event in wanted[1:]:
            own = answers.filter(pl.col("rating") == int(rating), subject_id=event).height
            yield count("survey_answers", own, "answers with this rating", "event_rating", f"{event}/{rating}")
    sums: Counts = {
        ("event", event): total for event, total in answers.group_by("subject_id").agg(pl.sum("rating")).iter_rows()
    }
    totals = {EVERYTHING: float(answers["rating"].sum()), **sums}
    note = "sum of the ratings (1 to 5) ÷ answers of the survey"
    yield from ratios("satisfaction", totals, given, wanted, note, "no answer of a survey is recorded")
    asked = counted(tables.notices.filter(kind="survey").unique(["subject_id", "customer_id"]))
    note = "answers of the survey ÷ people to whom it was sent"
    yield from ratios("survey_answer_rate", given, asked, wanted, note, "no survey was sent")


def notice_figures(tables: EventTables) -> Iterator[Figure]:
    """Notices by what they tell, and what people did with those that a push service took."""
    told = tables.notices
    yield count("notices", told.height, "messages that solicit nothing: confirmations, changes, reminders, surveys")
    for kind in KINDS:
        yield count("notices", told.filter(kind=kind).height, "notices of this kind", "notice", kind)
    channels = [one.channel_id for one in tables.program.enabled_channels if isinstance(one, PushChannel)]
    if not channels:
        yield from (missing(metric, "the program sends no push notifications") for metric in PUSH)
        return
    pushed, wanted = told.filter(pl.col("channel").is_in(channels)), events_of(tables.states)
    sent = counted(pushed)
    yield from counts("push_sent", sent, wanted, "notices that a push service took")
    for metric, flag, did in (
        ("push_open_rate", "is_opened", "opened"),
        ("push_click_through_rate", "is_clicked", "clicked"),
    ):
        note = f"push notifications that a person {did} ÷ sent"
        yield from ratios(metric, counted(pushed.filter(flag)), sent, wanted, note, "no push notification was sent")


def cost_figures(tables: EventTables) -> Iterator[Figure]:
    """The batch's cost per registration and per attendee; an event bears its share of the invitations."""
    cost = tables.program.cost
    sent = tables.invitations.filter(~pl.col("channel").is_in(list(tables.program.banner_channels)))
    if cost is None or tables.invitations.is_empty():
        cause = "no invitation went out" if cost else "the program file has no cost section"
        yield from (missing(metric, cause) for metric in COSTS)
        return
    invited, messages = counted(tables.invitations), counted(sent)
    spent = {
        one: round(
            cost.per_batch * invited.get(one, 0) / invited[EVERYTHING] + cost.per_message * messages.get(one, 0), 6
        )
        for one in events_of(tables.states)
    }
    seated = with_seat(tables)
    registered, came = counted(seated), counted(seated.filter(status="attended"))
    formula = f"{cost.currency}: (perBatch × share of the invitations + perMessage × messages) ÷ {{}}"
    for where, money in spent.items():
        note = formula.format("registrations")
        yield ratio("cost_per_registration", money, registered.get(where, 0), note, "nobody has registered", *where)
        note = formula.format("people who came")
        yield ratio("cost_per_attendee", money, came.get(where, 0), note, "nobody is recorded as attended", *where)
