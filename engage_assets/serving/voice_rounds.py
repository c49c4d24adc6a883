"""Questions and answers by voice, taken in rounds."""

from typing import Any

from engage_assets.domain.ports import Clock, Prompts
from engage_assets.domain.prompts import Issued, Recorded, Reply, Wish
from engage_assets.serving import rounds

Act = Wish | Reply


class Rounds:
    """Has prompts taken."""

    def __init__(self, prompts: Prompts, clock: Clock) -> None:
        self._rounds: rounds.Rounds[Act, Any] = rounds.Rounds(
            lambda acts: prompts.take(acts, clock.now()), "voice-ledger", settle=prompts.settle
        )

    async def issue(self, wish: Wish) -> Issued:
        """What became of a wish, once it is durable."""
        issued: Issued = await self._rounds.take(wish)
        return issued

    async def record(self, reply: Reply) -> Recorded:
        """What became of a reply, once it is durable."""
        recorded: Recorded = await self._rounds.take(reply)
        return recorded
