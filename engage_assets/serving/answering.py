"""Answers by page: each form has a desk, and whoever comes to the wrong one is led to his own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol, runtime_checkable

from fastapi import Request, Response

from engage_assets.domain.responses import KnownSend
from engage_assets.serving import words
from engage_assets.serving.feedback import FeedbackDesk
from engage_assets.serving.forms import is_foreign
from engage_assets.serving.photos import Photos
from engage_assets.serving.reception import Reception, go
from engage_assets.serving.registration import RegistrationDesk
from engage_assets.serving.reviews import ReviewDesk
from engage_assets.serving.rounds import Rounds
from engage_assets.serving.services import Services


class AnswerDesk(Protocol):
    """What a form's pages do for the person of a send."""

    def page(self, send: KnownSend, token: str) -> Response:
        """The form."""

    async def post(self, send: KnownSend, token: str, request: Request) -> Response:
        """Keep what was posted from our page and go on to the thanks, or show the form again."""

    def thanks(self, send: KnownSend, token: str) -> Response:
        """Thanks; who has not answered is led to the form."""


@runtime_checkable
class PromptDesk(AnswerDesk, Protocol):
    """A desk at which many come at once: it looks up their sends itself, together with all else."""

    async def post_of(self, send_id: str, token: str, request: Request) -> Response | None:
        """As `post`; None where the send is none of this desk's."""


@dataclass(frozen=True)
class Answering:
    """One method per request. `post` is a coroutine and leaves the loop for all that waits."""

    reception: Reception
    desks: Mapping[str, AnswerDesk]
    """By the form's name."""
    sends: Rounds[str, KnownSend | None]
    """Looks up the sends of those who post: many at once are one question to the ledger."""

    def page(self, form: str, token: str) -> Response:
        """The form of whoever comes with this token."""
        send = self.reception.visitor(token, "answer")
        if send is None:
            return words.lost()
        own = self.reception.form_of(send).name
        return self.desks[form].page(send, token) if own == form else go(f"../{own}/{token}")

    async def post(self, form: str, token: str, request: Request) -> Response:
        """An answer posted on a form; from other sites nothing is taken."""
        said, desk = self.reception.read(token, "answer"), self.desks[form]
        if said and isinstance(desk, PromptDesk) and not is_foreign(request):
            done = await desk.post_of(said.send_id, token, request)
            if done:
                return done
        send = await self.sends.take(said.send_id) if said else None
        if send is None:
            return words.lost()
        own = self.reception.form_of(send).name
        if own != form:
            return go(f"../{own}/{token}")
        if is_foreign(request):
            return self.reception.show("refused", send, 403, back=f"../{form}/{token}")
        return await desk.post(send, token, request)

    def thanks(self, token: str) -> Response:
        """Thanks for whatever was answered."""
        send = self.reception.visitor(token, "answer")
        if send is None:
            return words.lost()
        return self.desks[self.reception.form_of(send).name].thanks(send, token)


def answers_of(services: Services, random_name: Callable[[], str] = token_hex) -> Answering:
    """The desks of all forms. `random_name` names photos; nobody may be able to guess it."""
    reception, photos = Reception(services), Photos(services.photos, random_name)
    desks: dict[str, AnswerDesk] = {
        "review": ReviewDesk(reception, photos),
        "feedback": FeedbackDesk(reception),
        "registration": RegistrationDesk(reception),
    }
    return Answering(reception, desks, Rounds(reception.services.contacts.known_sends, "sends"))
