"""Attendance of events: who came, as their platform tells it, and a day after the end who did not."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import dagster as dg
from pydantic import Field

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.describe import mistakes_as_failures
from engage_assets.defs.event_upkeep import known_events
from engage_assets.domain.attendance import Attendances
from engage_assets.domain.events import Event
from engage_assets.domain.ports import Clock, Operations
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import SEATED, Registrations, Status
from engage_assets.events.attendance import NO_SHOW_AFTER, minutes_of, statuses

ATTENDANCE: Final = "attendance"
TICK_SECONDS: Final = 60
LOOKED_BACK: Final = timedelta(days=14)
"""Events that began longer ago are left as they are, unless they are named."""


class AttendanceConfig(dg.Config):
    """Of which events."""

    event_ids: list[str] = Field(default_factory=list)
    """Default: all that began within the last 14 days."""


@dataclass(frozen=True)
class Turnout:
    """Who came to an event, as far as it is known."""

    event_id: str
    registered: int
    """People with a seat."""
    attended: int
    no_show: int
    watch_minutes: float | None
    """Mean of those who attended; None: nobody did."""
    is_told: bool
    """Whether a platform, or an import, has told anything."""

    @property
    def unknown(self) -> int:
        """People with a seat of whom nothing is known yet."""
        return self.registered - self.attended - self.no_show


def record_attendance(
    registrations: Registrations, attendances: Attendances, program: str, event: Event, now: datetime
) -> Turnout:
    """Let registrations follow what was told of an event by `now`; a day after its end the others are no-shows.

    Where nothing was told nobody is a no-show: that is not known.
    """
    marks = attendances.of(program, event.event_id)
    minutes = minutes_of(marks, event, now)
    seated = [one.customer_id for one in registrations.of_event(program, event.event_id) if one.status in SEATED]
    said: Mapping[str, Status] = statuses(minutes, seated, event, now) if marks else {}
    there = {customer: minutes[customer] for customer, status in said.items() if status == "attended"}
    if said:
        registrations.attend(program, event.event_id, said, now, there)
    return _turnout(registrations, program, event.event_id, is_told=bool(marks))


def _turnout(registrations: Registrations, program: str, event_id: str, *, is_told: bool) -> Turnout:
    found = [one for one in registrations.of_event(program, event_id) if one.status in SEATED]
    came = [one for one in found if one.status == "attended"]
    watched = [one.watch_minutes for one in came if one.watch_minutes is not None]
    return Turnout(
        event_id,
        registered=len(found),
        attended=len(came),
        no_show=sum(one.status == "no_show" for one in found),
        watch_minutes=round(sum(watched) / len(watched), 2) if watched else None,
        is_told=is_told,
    )


def stages_between(events: Iterable[Event], after: datetime, until: datetime) -> Iterator[tuple[Event, str]]:
    """Events that begin, end, or whose no-shows are due in (after, until], each with the last of these."""
    for event in events:
        stages = (("no-shows", event.ends_at + NO_SHOW_AFTER), ("ended", event.ends_at), ("began", event.starts_at))
        reached = next((name for name, at in stages if after < at <= until), None)
        if reached and not event.is_cancelled:
            yield event, reached


def attendance_job(program: Program) -> dg.JobDefinition:
    """The job that records who came. An op, not an asset: no backfill can ever reach it."""

    @dg.op(name=f"{program.key}__attendance")
    def attend(
        context: dg.OpExecutionContext,
        config: AttendanceConfig,
        warehouse: dg.ResourceParam[Warehouse],
        registrations: dg.ResourceParam[Registrations],
        attendances: dg.ResourceParam[Attendances],
        operations: dg.ResourceParam[Operations],
        clock: dg.ResourceParam[Clock],
    ) -> None:
        now = clock.now()
        with mistakes_as_failures():
            for event in _meant(known_events(warehouse, now), config.event_ids, now):
                turnout = record_attendance(registrations, attendances, program.program_id, event, now)
                _miss(operations, program, event, turnout, now)
                context.log_event(_report(program, turnout, clock))

    @dg.job(
        name=f"{program.key}_attendance",
        description="Records who came to events, and a day after their end who did not.",
        tags={"program": program.program_id},
        executor_def=dg.in_process_executor,
    )
    def attendance() -> None:
        attend()

    return attendance


def _meant(known: Mapping[str, Event], named: Iterable[str], now: datetime) -> list[Event]:
    """Events that take place and have begun; the named ones, else those of the last days."""
    names = set(named)
    begun = [one for one in known.values() if one.starts_at <= now and not one.is_cancelled]
    chosen = [one for one in begun if (one.event_id in names if names else one.starts_at > now - LOOKED_BACK)]
    return sorted(chosen, key=lambda one: (one.starts_at, one.event_id))


def _miss(operations: Operations, program: Program, event: Event, turnout: Turnout, now: datetime) -> None:
    """Alert where it is time to know who came, and nobody has told."""
    if turnout.unknown and now >= event.ends_at + NO_SHOW_AFTER:
        operations.raise_alert(
            f"attendance:{program.program_id}:{event.event_id}",
            f"{program.program_id}: nothing has told who came to {event.event_id}, which ended at"
            f" {event.ends_at:%Y-%m-%d %H:%M} UTC: {turnout.unknown} people are neither attended nor no-shows; import"
            f" an export of its platform: engage events attendance {event.event_id} FILE",
            now,
        )


def _report(program: Program, turnout: Turnout, clock: Clock) -> dg.AssetMaterialization:
    values: dict[str, Any] = {name: value for name, value in vars(turnout).items() if value is not None}
    return dg.AssetMaterialization(
        dg.AssetKey([program.key, ATTENDANCE]),
        description=f"{turnout.event_id}: {turnout.attended} of {turnout.registered} attended,"
        f" {turnout.no_show} did not, {turnout.unknown} unknown",
        metadata={
            **values,
            "unknown": turnout.unknown,
            "at": f"{clock.now():%Y-%m-%d %H:%M} UTC",
            "is_declared_clock": clock.is_declared,
        },
    )


def attendance_sensor(program: Program, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Runs the job when an event begins, when it ends, and 24 hours later."""

    @dg.sensor(
        name=f"{program.key}_attendance_sensor",
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description="Follows the event catalogue: who is there on the day, how long at the end, later who was not.",
    )
    def follow_events(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse], clock: dg.ResourceParam[Clock]
    ) -> dg.SensorResult:
        now = clock.now()
        after = datetime.fromisoformat(context.cursor) if context.cursor else now - LOOKED_BACK
        due = sorted(stages_between(known_events(warehouse, now).values(), after, now), key=lambda one: one[0].event_id)
        requests = [_request(program, event, stage) for event, stage in due]
        said = None if due else "no event begins, ends, or ended a day ago"
        return dg.SensorResult(run_requests=requests, skip_reason=said, cursor=max(after, now).isoformat())

    return follow_events


def _request(program: Program, event: Event, stage: str) -> dg.RunRequest:
    config = {"event_ids": [event.event_id]}
    return dg.RunRequest(
        run_key=json.dumps([event.event_id, stage, event.known_at.isoformat()]),
        run_config={"ops": {f"{program.key}__attendance": {"config": config}}},
        tags={"event": event.event_id, "stage": stage},
    )


def attendance_asset(program: Program) -> dg.AssetSpec:
    """The external asset that attendance is reported to, event by event."""
    return dg.AssetSpec(
        dg.AssetKey([program.key, ATTENDANCE]),
        deps=[dg.AssetKey([program.key, "responses"])],
        description="Who came to an event: people with a seat, attended, no-shows, and of whom nothing is known, with"
        " the mean of the minutes watched.\n\nReported by the job that records it; the ledger has each person.",
        group_name=program.key,
        owners=list(program.owners),
        kinds={"http"},
        tags={"program": program.program_id},
    )


def attendance_definitions(program: Program) -> dg.Definitions:
    """Job, sensor and asset of a program whose people register for events; nothing of others."""
    if program.event_config is None:
        return dg.Definitions()
    job = attendance_job(program)
    sensors = [attendance_sensor(program, job)] if program.enabled else []
    return dg.Definitions(assets=[attendance_asset(program)], jobs=[job], sensors=sensors)
