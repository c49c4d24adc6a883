"""The API's writes: a candidate is consumed or deleted, a customer's candidates are checked again. All idempotent."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.statuses import SERVED
from engage_assets.serving import answers
from engage_assets.serving.access import WRITE, Gate
from engage_assets.serving.customers import STORED
from engage_assets.serving.documents import Key, Rechecked, StatusNow, operation, problems
from engage_assets.serving.eligibility import standing
from engage_assets.serving.names import CustomerId, ProgramId, channel_type, program_of
from engage_assets.serving.problems import Problem, ask
from engage_assets.serving.services import Services

Marketplace = Annotated[Key, Path(description="Code of the marketplace.", examples=["DE"])]
SubjectType = Annotated[Key, Path(alias="subjectType", description="The kind of subject.", examples=["product"])]
SubjectId = Annotated[Key, Path(alias="subjectId", description="The subject.", examples=["p-77"])]


@dataclass(frozen=True)
class Changes:
    """Handlers of the writes."""

    services: Services

    async def consume(
        self,
        customer: CustomerId,
        program: ProgramId,
        marketplace: Marketplace,
        subject_type: SubjectType,
        subject_id: SubjectId,
        channel: Annotated[Key | None, Query(description="The channel through which it was.")] = None,
    ) -> Response:
        """Mark a candidate as consumed: the customer has answered, or needs not be asked any more."""
        known = program_of(self.services.programs, program)
        way = channel_type(self.services.programs, channel, known) if channel else None
        key = CandidateKey(customer, program, marketplace, subject_type, subject_id)
        return await ask(self._consume, key, way)

    async def delete(
        self,
        customer: CustomerId,
        program: ProgramId,
        marketplace: Marketplace,
        subject_type: SubjectType,
        subject_id: SubjectId,
    ) -> Response:
        """Delete a candidate; it is no fault when it is not there."""
        program_of(self.services.programs, program)
        await ask(self.services.writer.delete, CandidateKey(customer, program, marketplace, subject_type, subject_id))
        return Response(status_code=204)

    async def refresh(self, customer: CustomerId, program: ProgramId) -> Response:
        """Check a customer's waiting candidates of a program in the ledger, and write down what is found.

        Those of a customer who opted out of the program are removed, a channel opted out of is no way any more, and
        those with an answer are consumed.
        """
        program_of(self.services.programs, program)
        return await ask(self._refresh, customer, program)

    def _consume(self, key: CandidateKey, way: str | None) -> Response:
        now = self.services.clock.now()
        changed = self.services.writer.advance([StatusChange(key, "consumed", now, way)])
        row = self.services.store.get(key, now)
        if row is None:
            raise Problem(404, "no such candidate; it may have expired")
        if row["status"] != "consumed":
            raise Problem(409, f"a candidate that is {row['status']} cannot become consumed")
        return answers.as_json({"asOf": now, "status": row["status"], "changed": bool(changed)})

    def _refresh(self, customer_id: str, program_id: str) -> Response:
        now = self.services.clock.now()
        before = self._waiting(customer_id, program_id)
        found = standing(self.services.contacts, customer_id, before)
        whole = found.is_opted_out(program_id)
        for channel in [None] if whole else sorted(found.wanted.channels):
            self.services.writer.suppress([customer_id], now, program=program_id, channel=channel)
        answered = [row for row in before if found.is_answered(row)]
        self.services.writer.advance([StatusChange(_key(row), "consumed", now) for row in answered])
        after = self._waiting(customer_id, program_id)
        body = {
            "asOf": now,
            "customerId": customer_id,
            "items": answers.items(after),
            "checkedCount": len(before),
            "removedCount": len(before) - len(after),
        }
        return answers.as_json(body)

    def _waiting(self, customer_id: str, program_id: str) -> list[dict[str, Any]]:
        rows = self.services.store.of_customer(customer_id, program_id, self.services.clock.now(), limit=STORED)
        return [row for row in rows if row["status"] in SERVED]


def changes_router(services: Services, gate: Gate) -> APIRouter:
    """Routes of the writes; keys need the scope candidates:write."""
    candidates = "/customers/{customer}/programs/{program}/candidates"
    one = candidates + "/{marketplace}/{subjectType}/{subjectId:path}"
    router = APIRouter(prefix="/v1", tags=["changes"], dependencies=[gate.needs(WRITE)])
    changes = Changes(services)
    router.add_api_route(
        candidates + "/refresh",
        changes.refresh,
        methods=["POST"],
        **operation("RefreshCandidates"),
        responses={200: {"model": Rechecked}, **problems(404)},
    )
    router.add_api_route(
        one + "/consumed",
        changes.consume,
        methods=["POST"],
        **operation("MarkCandidateConsumed"),
        responses={200: {"model": StatusNow}, **problems(404, 409)},
    )
    router.add_api_route(
        one,
        changes.delete,
        methods=["DELETE"],
        **operation("DeleteCandidate"),
        status_code=204,
        responses=problems(404),
    )
    return router


def _key(row: dict[str, Any]) -> CandidateKey:
    return CandidateKey(row["customer_id"], row["program"], row["marketplace"], row["subject_type"], row["subject_id"])
