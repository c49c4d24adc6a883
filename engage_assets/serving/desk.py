"""What a person wants no more of: the pages of preferences and of unsubscribing."""

from dataclasses import dataclass, replace
from typing import Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from engage_assets.domain.responses import KnownSend, Preferences
from engage_assets.serving import words
from engage_assets.serving.forms import FormTooLarge, FormUnreadable, is_foreign, read_choices
from engage_assets.serving.reception import Reception, go

ONE_CLICK: Final = "List-Unsubscribe=One-Click"
"""The body by which a mail program unsubscribes its reader (RFC 8058)."""


@dataclass(frozen=True)
class Desk:
    """One method per request. Those that read a body are coroutines and leave the loop for all that waits."""

    reception: Reception

    def preferences_page(self, token: str, *, is_saved: bool) -> Response:
        """What the person wants no more of."""
        send = self.reception.visitor(token, "preferences")
        if send is None:
            return words.lost()
        present = self.reception.services.contacts.preferences(send.customer_id)
        program = self.reception.services.programs.get(send.program)
        return self.reception.show(
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
        send = await run_in_threadpool(self.reception.visitor, token, "preferences")
        if send is None:
            return words.lost()
        ticked = await self._ticked(request)
        if ticked is None or is_foreign(request):
            return self.reception.show("refused", send, 403, back=f"../preferences/{token}")
        await run_in_threadpool(self._choose, send, ticked)
        return go(f"../preferences/{token}?saved=yes")

    def unsubscribe_page(self, token: str) -> Response:
        """One button, or the word that it was pressed."""
        send = self.reception.visitor(token, "preferences")
        if send is None:
            return words.lost()
        stopped = self.reception.services.contacts.preferences(send.customer_id).everything
        return self.reception.show("unsubscribe", send, token=token, stopped=stopped)

    async def post_unsubscribe(self, token: str, request: Request) -> Response:
        """No more of anything. A mail program's one click is taken from anywhere, and answered alike for any token."""
        send = await run_in_threadpool(self.reception.visitor, token, "preferences")
        ticked = await self._ticked(request)
        if ticked is not None and ONE_CLICK in ticked:
            if send:
                await run_in_threadpool(self._unsubscribe, send)
            return PlainTextResponse("Received.", headers=words.HEADERS)
        if send is None:
            return words.lost()
        if ticked is None or is_foreign(request):
            return self.reception.show("refused", send, 403, back=f"../unsubscribe/{token}")
        await run_in_threadpool(self._unsubscribe, send)
        return go(f"../unsubscribe/{token}")

    def _unsubscribe(self, send: KnownSend) -> None:
        """No more of anything; what else was chosen stays, should the person come back."""
        contacts = self.reception.services.contacts
        wanted = replace(contacts.preferences(send.customer_id), everything=True)
        contacts.set_preferences(send.customer_id, wanted, self.reception.services.clock.now())

    def _choose(self, send: KnownSend, ticked: frozenset[str]) -> None:
        """Make the preferences as ticked; those that the page does not show stay."""
        contacts = self.reception.services.contacts
        present = contacts.preferences(send.customer_id)
        wanted = Preferences(
            everything="everything" in ticked,
            programs=_with(present.programs, send.program, is_in="program" in ticked),
            channels=_with(present.channels, send.channel, is_in="channel" in ticked),
        )
        contacts.set_preferences(send.customer_id, wanted, self.reception.services.clock.now())

    async def _ticked(self, request: Request) -> frozenset[str] | None:
        """What a form of boxes says; None where it is none."""
        try:
            return await read_choices(request, self.reception.services.limits)
        except (FormTooLarge, FormUnreadable):
            return None


def _with(names: frozenset[str], name: str, *, is_in: bool) -> frozenset[str]:
    return names | {name} if is_in else names - {name}
