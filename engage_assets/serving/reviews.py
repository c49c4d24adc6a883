"""The page for a review: stars, words, photos. The first review counts."""

from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from engage_assets.domain.responses import KnownSend
from engage_assets.domain.responses import Response as Review
from engage_assets.serving.forms import Fault, FormTooLarge, FormUnreadable, ReviewForm, check, read_review
from engage_assets.serving.photos import Photos
from engage_assets.serving.reception import Reception, go


@dataclass(frozen=True)
class ReviewDesk:
    """An AnswerDesk."""

    reception: Reception
    photos: Photos

    def page(self, send: KnownSend, token: str) -> Response:
        """The form, or thanks where the person has answered."""
        if self.reception.has_answered(send):
            return self.reception.show("thanks", send, again=True)
        return self._show(send, token, ReviewForm(), {})

    async def post(self, send: KnownSend, token: str, request: Request) -> Response:
        """Keep a review and go on to the thanks, or show the form again."""
        try:
            posted = await read_review(request, self.reception.services.limits)
        except FormTooLarge:
            return self._show(send, token, ReviewForm(), {"form": Fault("form_too_large")}, 413)
        except FormUnreadable:
            return self._show(send, token, ReviewForm(), {"form": Fault("form_unreadable")}, 422)
        return await run_in_threadpool(self._answer, send, token, posted)

    def thanks(self, send: KnownSend, token: str) -> Response:
        """Thanks; who has not answered is led to the form."""
        if not self.reception.has_answered(send):
            return go(f"../review/{token}")
        return self.reception.show("thanks", send, again=False)

    def _show(
        self, send: KnownSend, token: str, posted: ReviewForm, faults: dict[str, Fault], status: int = 200
    ) -> Response:
        """The form with what was typed and what is wrong with it."""
        show = self.reception.show
        return show("review", send, status, token=token, rating=posted.rating, text=posted.text, faults=faults)

    def _answer(self, send: KnownSend, token: str, posted: ReviewForm) -> Response:
        """Keep the review, or show what is wrong with it. Who answers twice is thanked twice and counted once."""
        services = self.reception.services
        if self.reception.has_answered(send):
            return go(f"../thanks/{token}")
        faults, photos = check(posted, services.limits)
        if faults:
            return self._show(send, token, posted, faults, 422)
        names, is_kept = self.photos.keep(photos), False
        try:
            now = services.clock.now()
            said = services.contacts.respond(
                Review(
                    program=send.program,
                    customer_id=send.customer_id,
                    marketplace=send.marketplace,
                    subject_type=send.subject_type,
                    subject_id=send.subject_id,
                    rating=int(posted.rating),
                    at=now,
                    send_id=send.send_id,
                    text=posted.text or None,
                    photos=names,
                    channel=send.channel,
                ),
                now,
            )
            is_kept = said == "new"
        finally:
            if not is_kept:
                self.photos.remove(names)
        return go(f"../thanks/{token}")
