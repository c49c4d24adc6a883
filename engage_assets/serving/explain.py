"""Why a stored candidate has its score."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from engage_assets.domain.errors import EngageError
from engage_assets.scoring.explanations import Explanation
from engage_assets.serving import answers
from engage_assets.serving.access import READ, Gate
from engage_assets.serving.customers import STORED
from engage_assets.serving.documents import Explained, Key, operation, problems
from engage_assets.serving.names import CustomerId, ProgramId, program_of
from engage_assets.serving.problems import Problem, ask
from engage_assets.serving.services import Services

SubjectId = Annotated[Key, Path(alias="subjectId", description="The subject.", examples=["p-77"])]
Marketplace = Annotated[Key | None, Query(description="Absent: the candidate with the best score.", examples=["DE"])]


@dataclass(frozen=True)
class Explanations:
    """Handler of the query for explanations."""

    services: Services

    async def of_candidate(
        self, program: ProgramId, customer: CustomerId, subject_id: SubjectId, marketplace: Marketplace = None
    ) -> Response:
        """The features of a stored candidate as its batch knew them, and what each adds to the log odds of an answer.

        404 where there is no such candidate, or its features or its model are no longer kept.
        """
        program_of(self.services.programs, program)
        now = self.services.clock.now()
        rows = await ask(self.services.store.of_customer, customer, program, now, limit=STORED)
        found = [row for row in rows if row["subject_id"] == subject_id and marketplace in {None, row["marketplace"]}]
        if not found:
            raise Problem(404, "no such candidate; it may have expired")
        models = [_document(one) for one in await ask(self._explained, found[0])]
        (item,) = answers.items(found[:1])
        return answers.as_json({"asOf": now, "candidate": item, "models": models})

    def _explained(self, row: dict[str, Any]) -> list[Explanation]:
        if self.services.explain is None:
            raise Problem(404, "this service gives no explanations; one beside the lake and the models does")
        try:
            return list(self.services.explain(row))
        except EngageError:
            raise Problem(
                404, "the features or the model of this candidate are no longer kept; its next batch brings new ones"
            ) from None


def explain_router(services: Services, gate: Gate) -> APIRouter:
    """The route of explanations; keys need the scope candidates:read."""
    router = APIRouter(prefix="/v1", tags=["query"], dependencies=[gate.needs(READ)])
    router.add_api_route(
        "/programs/{program}/customers/{customer}/subjects/{subjectId}/explanation",
        Explanations(services).of_candidate,
        responses={200: {"model": Explained}, **problems(404)},
        **operation("ExplainCandidate"),
    )
    return router


def _document(explanation: Explanation) -> dict[str, Any]:
    features = [
        {"feature": one.feature, "value": one.value, "usual": one.usual, "logOdds": one.log_odds}
        for one in explanation.contributions
    ]
    return {
        "modelId": explanation.model_id,
        "version": explanation.version,
        "method": explanation.method,
        "probability": explanation.probability,
        "score": explanation.score,
        "base": explanation.base,
        "features": features,
    }
