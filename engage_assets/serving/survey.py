"""The survey page: how it was, one to five and a comment, one answer of each person who attended an event."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from engage_assets.domain.notices import SURVEY_OPEN, SurveyAnswer
from engage_assets.domain.responses import KnownSend
from engage_assets.serving import words
from engage_assets.serving.forms import Fault, FormTooLarge, FormUnreadable
from engage_assets.serving.reception import Reception, go
from engage_assets.serving.registration_events import EventServices
from engage_assets.serving.registration_visit import Visit, visit_of
from engage_assets.serving.survey_form import SurveyForm, check, read_survey

State = Literal["unknown", "called_off", "answered", "too_early", "unrecorded", "not_attended", "expired", "open"]


def state_of(visit: Visit, answer: SurveyAnswer | None) -> State:
    """What the page is about. The survey is open from the event's end for SURVEY_OPEN, to who is known to have come."""
    if answer is not None:
        return "answered"
    if not visit.versions:
        return "unknown"
    if visit.event.is_cancelled and visit.status != "attended":
        return "called_off"
    return _of_its_time(visit)


def _of_its_time(visit: Visit) -> State:
    if visit.now < visit.event.ends_at:
        return "too_early"
    if visit.now >= visit.event.ends_at + SURVEY_OPEN:
        return "expired"
    if visit.status == "attended":
        return "open"
    return "unrecorded" if visit.status == "registered" else "not_attended"


@dataclass(frozen=True)
class SurveyDesk:
    """Shows the page and keeps answers."""

    reception: Reception

    def page(self, send: KnownSend, token: str) -> Response:
        """The form, thanks, or why there is none."""
        return self._page(send, token, SurveyForm(), {})

    async def post(self, send: KnownSend, token: str, request: Request) -> Response:
        """Keep an answer and go on to the page, which thanks for it; or show the form again."""
        try:
            posted = await read_survey(request, self.reception.services.limits)
        except FormTooLarge:
            faults, status = {"form": Fault("survey_too_large")}, 413
            return await run_in_threadpool(self._page, send, token, SurveyForm(), faults, status)
        except FormUnreadable:
            return await run_in_threadpool(self._page, send, token, SurveyForm(), {"form": Fault("survey_unreadable")})
        return await run_in_threadpool(self._answer, send, token, posted)

    def _answer(self, send: KnownSend, token: str, posted: SurveyForm) -> Response:
        """Who answers twice is thanked twice and counted once; the form is shown to nobody who may not answer."""
        services = self.reception.services
        events = services.events
        if events is None or events.surveys is None:
            return words.lost()
        if self._visit(events, send)[1] != "open":
            return go(f"../survey/{token}")
        faults = check(posted, services.limits)
        if faults:
            return self._page(send, token, posted, faults)
        now = services.clock.now()
        events.surveys.keep(_answer_of(send, posted, now), now)
        return go(f"../survey/{token}")

    def _page(
        self, send: KnownSend, token: str, posted: SurveyForm, faults: dict[str, Fault], status: int = 422
    ) -> Response:
        events = self.reception.services.events
        if events is None or events.surveys is None:
            return words.lost()
        visit, state, answer = self._visit(events, send)
        shown = faults if state == "open" else {}
        return self.reception.show(
            "survey",
            send,
            status if shown else 200,
            token=token,
            state=state,
            event=visit.event if visit.versions else None,
            given=answer.rating if answer else None,
            rating=posted.rating,
            text=posted.text,
            faults=shown,
        )

    def _visit(self, events: EventServices, send: KnownSend) -> tuple[Visit, State, SurveyAnswer | None]:
        """The event and the person's registration as they stand, what the page is about, and what he answered."""
        assert events.surveys is not None
        place = (send.program, send.subject_id, send.customer_id)
        found = visit_of(self.reception.services, send)
        visit = Visit(send, found.now, found.versions, found.seats, events.registrations.of_customer(*place))
        answer = events.surveys.of(*place)
        return visit, state_of(visit, answer), answer


def _answer_of(send: KnownSend, posted: SurveyForm, now: datetime) -> SurveyAnswer:
    return SurveyAnswer(
        program=send.program,
        event_id=send.subject_id,
        customer_id=send.customer_id,
        marketplace=send.marketplace,
        rating=int(posted.rating),
        at=now,
        send_id=send.send_id,
        text=posted.text or None,
    )
