"""Who opens a page, and how pages are shown: in the visitor's language, in the name of the shop that wrote to him."""

from dataclasses import dataclass
from typing import Any

from fastapi.responses import HTMLResponse, RedirectResponse

from engage_assets.domain.forms import Form, form_of
from engage_assets.domain.responses import KnownSend, Response
from engage_assets.domain.tokens import Purpose, Token
from engage_assets.serving import words
from engage_assets.serving.services import Services


@dataclass(frozen=True)
class Reception:
    """What all pages share."""

    services: Services

    def visitor(self, token: str, purpose: Purpose) -> KnownSend | None:
        """The send that a token names; None where the link is not good."""
        said = self.read(token, purpose)
        return self.services.contacts.send(said.send_id) if said else None

    def read(self, token: str, purpose: Purpose) -> Token | None:
        """What a token says; None where the link is not good."""
        return self.services.signer.read(token, purpose, self.services.clock.now())

    def form_of(self, send: KnownSend) -> Form:
        """The form on which the send's person answers."""
        return form_of(self.services.programs.get(send.program))

    def answer(self, send: KnownSend) -> Response | None:
        """What the person answers about the send's subject, as it stands."""
        return self.services.contacts.answer(send.program, send.customer_id, send.subject_type, send.subject_id)

    def has_answered(self, send: KnownSend) -> bool:
        """Whether the person has answered about the send's subject."""
        return self.services.contacts.answered(send.program, send.customer_id, send.subject_type, send.subject_id)

    def show(self, page: str, send: KnownSend, status: int = 200, **values: Any) -> HTMLResponse:
        """A page in the visitor's language."""
        market = self.services.marketplaces.get(send.marketplace)
        language = words.language_of(send.locale, market.locale if market else None)
        return words.show(
            page,
            language,
            status,
            shop=market.sender_name if market else "",
            place=market.name if market else "",
            address=market.postal_address if market else "",
            product=_plain(send.subject_name),
            maker=_plain(send.subject_maker),
            limits=words.in_words(self.services.limits, language),
            **values,
        )


def go(place: str) -> RedirectResponse:
    """On to another page."""
    return RedirectResponse(place, status_code=303, headers=words.HEADERS)


def _plain(name: str | None) -> str:
    """A name on one line."""
    return " ".join((name or "").split())
