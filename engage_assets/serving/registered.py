"""GetRegisteredCandidates: who is registered, out of the ledger, since registrations outlive candidates."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, cast

from fastapi import Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from engage_assets.domain.events import Event
from engage_assets.domain.registrations import Registration, Status
from engage_assets.domain.statuses import REGISTERED
from engage_assets.serving import answers
from engage_assets.serving.names import ProgramId, program_of
from engage_assets.serving.problems import ask
from engage_assets.serving.services import Services

Registered = Annotated[str, Field(pattern=f"^({'|'.join(sorted(REGISTERED))})$", examples=["registered"])]
Statuses = Annotated[list[Registered] | None, Query(description="May be repeated; absent: registered.")]
EventDate = Annotated[
    date | None, Query(alias="eventDate", description="Only of events that start that day, on the event's own clock.")
]
Most = Annotated[int, Query(ge=1, le=10_000, description="Registrations at most.")]


@dataclass(frozen=True)
class ByRegistration:
    """Handler of the query for registrations."""

    services: Services

    async def candidates(
        self, program: ProgramId, status: Statuses = None, event_date: EventDate = None, limit: Most = 1_000
    ) -> Response:
        """Who is registered through a program, or in other statuses of a registration; by event, then as they came."""
        program_of(self.services.programs, program)
        events, now = self.services.events, self.services.clock.now()
        if events is None:
            return answers.as_json({"asOf": now, "items": [], "totalCount": 0, "isComplete": True})
        known = await run_in_threadpool(events.facts.events, now)
        wanted = None if event_date is None else [one for one in known if known[one].local_date == event_date]
        statuses = cast("list[Status]", sorted(set(status or ("registered",))))
        rows = await ask(events.registrations.with_status, program, statuses, wanted, limit + 1)
        items = [_item(one, known.get(one.event_id)) for one in rows[:limit]]
        counts = {"totalCount": len(items), "isComplete": len(rows) <= limit}
        return answers.as_json({"asOf": now, "items": items, **counts})


def _item(one: Registration, event: Event | None) -> dict[str, Any]:
    return {
        "customerId": one.customer_id,
        "program": one.program,
        "marketplace": one.marketplace,
        "subjectType": "event",
        "subjectId": one.event_id,
        "eventAt": event.starts_at if event else None,
        "status": one.status,
        "registeredAt": one.registered_at,
        "updatedAt": one.changed_at,
        "channel": one.channel,
        "sendId": one.send_id,
    }
