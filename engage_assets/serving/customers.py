"""GetCandidatesForCustomer, for one customer and for many."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from pydantic import ValidationError

from engage_assets.serving import answers
from engage_assets.serving.documents import BatchQuery, Key
from engage_assets.serving.eligibility import standing
from engage_assets.serving.names import CustomerId, channel_type, given_statuses, program_of
from engage_assets.serving.problems import Problem, ask, asking, invalid
from engage_assets.serving.services import Services

STORED: Final = 1_000
"""Candidates of one customer that a query looks at."""
_AT_ONCE: Final = 8
"""Customers of a batch between which other requests get their turn."""

ChannelFilter = Annotated[Key | None, Query(description="Id or type of a channel: only those that it may reach.")]
ProgramFilter = Annotated[Key | None, Query(description="programId; absent: all programs.")]
Most = Annotated[int, Query(ge=1, le=STORED, description="Candidates at most.")]
WithScores = Annotated[bool, Query(alias="includeScores", description="Give scores and model.")]
Fresh = Annotated[bool, Query(alias="refreshEligibility", description="Check opt-outs and answers in the ledger now.")]


class ByCustomer:
    """Handlers of the queries by customer."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ask = asking(in_threads=services.store_is_remote)

    async def candidates(
        self,
        customer: CustomerId,
        channel: ChannelFilter = None,
        program: ProgramFilter = None,
        limit: Most = 10,
        *,
        include_scores: WithScores = True,
        refresh_eligibility: Fresh = False,
    ) -> Response:
        """A customer's candidates, best first, in the statuses that the channel takes. None is an empty list."""
        asked = BatchQuery.model_construct(
            customers=[customer],
            channel=channel,
            program=program,
            limit=limit,
            include_scores=include_scores,
            refresh_eligibility=refresh_eligibility,
        )
        return answers.as_json(await self._of(customer, asked, self._way(asked)))

    async def batch(self, request: Request) -> Response:
        """Candidates of up to 1,000 customers. Each result is that of the single query; customers are never mixed."""
        asked = _read(await request.body())
        most = self._services.limits.customers
        if len(asked.customers) > most:
            raise Problem(422, f"customers: {len(asked.customers)} in one query, at most {most} are taken")
        way = self._way(asked)
        results = []
        for place, customer in enumerate(dict.fromkeys(asked.customers)):
            if place % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            results.append(await self._of(customer, asked, way))
        return answers.as_json({"asOf": self._services.clock.now(), "results": results})

    def _way(self, asked: BatchQuery) -> str | None:
        programs = self._services.programs
        program = program_of(programs, asked.program) if asked.program else None
        return channel_type(programs, asked.channel, program) if asked.channel else None

    async def _of(self, customer_id: str, asked: BatchQuery, way: str | None) -> dict[str, Any]:
        now, store = self._services.clock.now(), self._services.store
        rows = await self._ask(store.of_customer, customer_id, asked.program, now, channel=way, limit=STORED)
        statuses = given_statuses(way)
        kept = [row for row in rows if row["status"] in statuses and self._is_in_use(row["program"])]
        is_fresh = is_degraded = False
        if asked.refresh_eligibility:
            kept, is_fresh = await self._still_wanted(customer_id, kept, way)
            is_degraded = not is_fresh
        return {
            "asOf": now,
            "customerId": customer_id,
            "items": answers.items(kept[: asked.limit], with_scores=asked.include_scores),
            "totalCount": len(rows),
            "filteredCount": len(rows) - len(kept),
            "eligibilityRefreshed": is_fresh,
            "degraded": is_degraded,
        }

    def _is_in_use(self, program_id: str) -> bool:
        program = self._services.programs.get(program_id)
        return program is not None and program.enabled

    async def _still_wanted(
        self, customer_id: str, rows: Sequence[dict[str, Any]], way: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """Those that may be contacted, and whether that could be asked: without an answer, none."""
        try:
            found = await ask(standing, self._services.contacts, customer_id, rows)
        except Problem:
            return [], False
        return [row for row in rows if found.allows(row, way)], True


def _read(body: bytes) -> BatchQuery:
    try:
        return BatchQuery.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_context=False, include_url=False)) from None
