"""The page for feedback: thumbs up or down, a comment, tags. A second visit shows the answer, and may change it."""

from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from engage_assets.domain.responses import KnownSend
from engage_assets.domain.responses import Response as Answer
from engage_assets.serving.feedback_form import THUMBS, FeedbackForm, as_form, check, read_feedback
from engage_assets.serving.forms import Fault, FormTooLarge, FormUnreadable
from engage_assets.serving.reception import Reception, go


@dataclass(frozen=True)
class FeedbackDesk:
    """An AnswerDesk."""

    reception: Reception

    def page(self, send: KnownSend, token: str) -> Response:
        """The form; filled with what the person said before."""
        answer = self.reception.answer(send)
        return self._show(send, token, answer, as_form(answer), {})

    async def post(self, send: KnownSend, token: str, request: Request) -> Response:
        """Keep the feedback, or the change, and go on to the thanks; or show the form again."""
        answer = await run_in_threadpool(self.reception.answer, send)
        try:
            posted = await read_feedback(request, self.reception.services.limits, self._offered(send, answer))
        except FormTooLarge:
            return self._show(send, token, answer, as_form(answer), {"form": Fault("feedback_too_large")}, 413)
        except FormUnreadable:
            return self._show(send, token, answer, as_form(answer), {"form": Fault("feedback_unreadable")}, 422)
        faults = check(posted, self.reception.services.limits)
        if faults:
            return self._show(send, token, answer, posted, faults, 422)
        await run_in_threadpool(self._keep, send, posted)
        return go(f"../thanks/{token}")

    def thanks(self, send: KnownSend, token: str) -> Response:
        """Thanks, and the way back to the answer; who has not answered is led to the form."""
        answer = self.reception.answer(send)
        if answer is None:
            return go(f"../feedback/{token}")
        return self.reception.show("feedback_thanks", send, token=token, thumb=as_form(answer).thumb)

    def _show(
        self,
        send: KnownSend,
        token: str,
        answer: Answer | None,
        posted: FeedbackForm,
        faults: dict[str, Fault],
        status: int = 200,
    ) -> Response:
        """The form with what was typed and what is wrong with it; `answer` is what the person said before."""
        return self.reception.show(
            "feedback",
            send,
            status,
            token=token,
            before=as_form(answer).thumb,
            thumb=posted.thumb,
            comment=posted.comment,
            tags=posted.tags,
            offered=self._offered(send, answer),
            faults=faults,
        )

    def _offered(self, send: KnownSend, answer: Answer | None) -> tuple[str, ...]:
        """The tags that the program offers, and those that the person picked when it offered others."""
        program = self.reception.services.programs.get(send.program)
        declared = program.feedback.tags if program and program.feedback else ()
        return tuple(dict.fromkeys([*declared, *(answer.tags if answer else ())]))

    def _keep(self, send: KnownSend, posted: FeedbackForm) -> None:
        """Keep the feedback as the person's one answer."""
        now = self.reception.services.clock.now()
        self.reception.services.contacts.respond(
            Answer(
                program=send.program,
                customer_id=send.customer_id,
                marketplace=send.marketplace,
                subject_type=send.subject_type,
                subject_id=send.subject_id,
                rating=None,
                at=now,
                send_id=send.send_id,
                text=posted.comment or None,
                is_positive=THUMBS[posted.thumb],
                tags=posted.tags,
                channel=send.channel,
            ),
            now,
            may_edit=self.reception.form_of(send).may_edit,
        )
