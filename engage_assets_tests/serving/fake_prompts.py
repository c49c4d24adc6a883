"""Prompts in memory, as the service asks for them: sessions, answers, expiry; no caps, which the ledger has."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engage_assets.domain.errors import EngageError
from engage_assets.domain.prompts import Issued, Prompt, Recorded, Reply, Wish


class FakePrompts:
    """See Prompts. `is_down`: the ledger does not answer."""

    def __init__(self) -> None:
        self.by_session: dict[str, Prompt] = {}
        self.rounds: list[int] = []
        self.settled = 0
        self.is_down = False

    def take(self, acts: Sequence[Wish | Reply], now: datetime) -> list[Issued | Recorded]:
        if self.is_down:
            raise EngageError("the ledger does not answer")
        self.rounds.append(len(acts))
        return [self._issue(act, now) if isinstance(act, Wish) else self._record(act, now) for act in acts]

    def settle(self) -> None:
        self.settled += 1

    def of_session(self, session: str) -> Prompt | None:
        return self.by_session.get(session)

    def find(self, send_id: str) -> Prompt | None:
        return next((one for one in self.by_session.values() if one.send_id == send_id), None)

    def _issue(self, wish: Wish, now: datetime) -> Issued:
        known = self.by_session.get(wish.session)
        if known:
            is_open = known.answer is None and now < known.expires_at
            return Issued(known) if is_open else Issued(None, "SESSION_ASKED")
        send = wish.sends[0]
        fields = Prompt.__dataclass_fields__
        said = {name: getattr(send, name) for name in fields if hasattr(send, name)}
        self.by_session[wish.session] = Prompt(**said, issued_at=now, expires_at=wish.expires_at)
        return Issued(self.by_session[wish.session])

    def _record(self, reply: Reply, now: datetime) -> Recorded:
        prompt = self.find(reply.send_id)
        if prompt is None or prompt.customer_id != reply.customer_id:
            return Recorded("unknown")
        if prompt.answer != reply.is_positive:
            if now >= prompt.expires_at:
                return Recorded("expired")
            session = next(key for key, one in self.by_session.items() if one == prompt)
            self.by_session[session] = replace(prompt, answer=reply.is_positive)
        return Recorded("recorded")
