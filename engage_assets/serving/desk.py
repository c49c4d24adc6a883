"""What the pages do: whoever opens one is found by the token, shown it in his language, and his answer is kept."""

from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from engage_assets.domain.responses import KnownSend, Preferences
from engage_assets.domain.responses import Response as Review
from engage_assets.domain.tokens import Purpose
from engage_assets.serving import words
from engage_assets.serving.forms import (
    Fault,
    FormTooLarge,
    FormUnreadable,
    ReviewForm,
    check,
    is_foreign,
    read_choices,
    read_review,
)
from engage_assets.serving.photos import Photos
from engage_assets.serving.services import Services

ONE_CLICK: Final = "List-Unsubscribe=One-Click"
"""The body by which a mail program unsubscribes its reader (RFC 8058)."""


@dataclass(frozen=True)
class Desk:
    """One method per request. Those that read a body are coroutines and leave the loop for all that waits."""

    services: Services
    photos: Photos

    def review_page(self, token: str) -> Response:
        """The form, or thanks where the person has answered."""
        send = self._visitor(token, "answer")
        if send is None:
            return words.lost()
        if self._has_answered(send):
            return self._show("thanks", send, again=True)
        return self._show_form(send, token, ReviewForm(), {})

    async def post_review(self, token: str, request: Request) -> Response:
        """Keep a review and go on to the thanks, or show the form again."""
        send = await run_in_threadpool(self._visitor, token, "answer")
        if send is None:
            return words.lost()
        if is_foreign(request):
            return self._show("refused", send, 403, back=f"../review/{token}")
        try:
            posted = await read_review(request, self.services.limits)
        except FormTooLarge:
            return self._show_form(send, token, ReviewForm(), {"form": Fault("form_too_large")}, 413)
        except FormUnreadable:
            return self._show_form(send, token, ReviewForm(), {"form": Fault("form_unreadable")}, 422)
        return await run_in_threadpool(self._answer, send, token, posted)

    def thanks_page(self, token: str) -> Response:
        """Thanks; who has not answered is led to the form."""
        send = self._visitor(token, "answer")
        if send is None:
            return words.lost()
        return self._show("thanks", send, again=False) if self._has_answered(send) else _go(f"../review/{token}")

    def preferences_page(self, token: str, *, is_saved: bool) -> Response:
        """What the person wants no more of."""
        send = self._visitor(token, "preferences")
        if send is None:
            return words.lost()
        present = self.services.contacts.preferences(send.customer_id)
        program = self.services.programs.get(send.program)
        return self._show(
            "preferences",
            send,
            token=token,
            saved=is_saved,
            program=program.program_name if program else send.program,
            channel=send.channel,
            stopped={
                "program": send.program in present.programs,
                "channel": send.channel in present.channels,
                "everything": present.everything,
            },
        )

    async def post_preferences(self, token: str, request: Request) -> Response:
        """Make the preferences as ticked."""
        send = await run_in_threadpool(self._visitor, token, "preferences")
        if send is None:
            return words.lost()
        ticked = await self._ticked(request)
        if ticked is None or is_foreign(request):
            return self._show("refused", send, 403, back=f"../preferences/{token}")
        await run_in_threadpool(self._choose, send, ticked)
        return _go(f"../preferences/{token}?saved=yes")

    def unsubscribe_page(self, token: str) -> Response:
        """One button, or the word that it was pressed."""
        send = self._visitor(token, "preferences")
        if send is None:
            return words.lost()
        stopped = self.services.contacts.preferences(send.customer_id).everything
        return self._show("unsubscribe", send, token=token, stopped=stopped)

    async def post_unsubscribe(self, token: str, request: Request) -> Response:
        """No more of anything. A mail program's one click is taken from anywhere, and answered alike for any token."""
        send = await run_in_threadpool(self._visitor, token, "preferences")
        ticked = await self._ticked(request)
        if ticked is not None and ONE_CLICK in ticked:
            if send:
                await run_in_threadpool(self._unsubscribe, send)
            return PlainTextResponse("Received.", headers=words.HEADERS)
        if send is None:
            return words.lost()
        if ticked is None or is_foreign(request):
            return self._show("refused", send, 403, back=f"../unsubscribe/{token}")
        await run_in_threadpool(self._unsubscribe, send)
        return _go(f"../unsubscribe/{token}")

    def _visitor(self, token: str, purpose: Purpose) -> KnownSend | None:
        """The send that a token names; None where the link is not good."""
        said = self.services.signer.read(token, purpose, self.services.clock.now())
        return self.services.contacts.send(said.send_id) if said else None

    def _show(self, page: str, send: KnownSend, status: int = 200, **values: Any) -> HTMLResponse:
        """A page in the visitor's language, in the name of the shop that wrote to him."""
        market = self.services.marketplaces.get(send.marketplace)
        language = words.language_of(send.locale, market.locale if market else None)
        return words.show(
            page,
            language,
            status,
            shop=market.sender_name if market else "",
            place=market.name if market else "",
            address=market.postal_address if market else "",
            product=" ".join((send.subject_name or "").split()),
            limits=words.in_words(self.services.limits, language),
            **values,
        )

    def _show_form(
        self, send: KnownSend, token: str, posted: ReviewForm, faults: dict[str, Fault], status: int = 200
    ) -> HTMLResponse:
        """The review form with what was typed and what is wrong with it."""
        return self._show("review", send, status, token=token, rating=posted.rating, text=posted.text, faults=faults)

    def _has_answered(self, send: KnownSend) -> bool:
        """Whether the person has answered about the send's subject."""
        return self.services.contacts.answered(send.program, send.customer_id, send.subject_type, send.subject_id)

    def _answer(self, send: KnownSend, token: str, posted: ReviewForm) -> Response:
        """Keep the review, or show what is wrong with it. Who answers twice is thanked twice and counted once."""
        if self._has_answered(send):
            return _go(f"../thanks/{token}")
        faults, photos = check(posted, self.services.limits)
        if faults:
            return self._show_form(send, token, posted, faults, 422)
        names, is_kept = self.photos.keep(photos), False
        try:
            now = self.services.clock.now()
            is_kept = self.services.contacts.respond(
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
                ),
                now,
            )
        finally:
            if not is_kept:
                self.photos.remove(names)
        return _go(f"../thanks/{token}")

    def _unsubscribe(self, send: KnownSend) -> None:
        """No more of anything; what else was chosen stays, should the person come back."""
        contacts = self.services.contacts
        wanted = replace(contacts.preferences(send.customer_id), everything=True)
        contacts.set_preferences(send.customer_id, wanted, self.services.clock.now())

    def _choose(self, send: KnownSend, ticked: frozenset[str]) -> None:
        """Make the preferences as ticked; those that the page does not show stay."""
        contacts = self.services.contacts
        present = contacts.preferences(send.customer_id)
        wanted = Preferences(
            everything="everything" in ticked,
            programs=_with(present.programs, send.program, is_in="program" in ticked),
            channels=_with(present.channels, send.channel, is_in="channel" in ticked),
        )
        contacts.set_preferences(send.customer_id, wanted, self.services.clock.now())

    async def _ticked(self, request: Request) -> frozenset[str] | None:
        """What a form of boxes says; None where it is none."""
        try:
            return await read_choices(request, self.services.limits)
        except (FormTooLarge, FormUnreadable):
            return None


def _with(names: frozenset[str], name: str, *, is_in: bool) -> frozenset[str]:
    return names | {name} if is_in else names - {name}


def _go(place: str) -> RedirectResponse:
    return RedirectResponse(place, status_code=303, headers=words.HEADERS)
