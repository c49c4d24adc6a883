"""Banners: sends that an app shows while they are open, asked again at each look."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from engage_assets.domain.responses import KnownSend
from engage_assets.domain.sends import ClaimRules, Claims


class Banners(Protocol):
    """Sends of channels in an app."""

    def open(self, send_ids: Sequence[str], now: datetime, rules: ClaimRules) -> Claims:
        """Let planned sends whose slot has come be shown, as `Ledger.claim` would let them be claimed.

        Those are `sent`, in one transaction: planned, claimed, handed over and sent, so that none is ever in doubt.
        Those that a rule refuses are `skipped` with its reason.
        """

    def shown(self, program: str, channel: str, kind: str, customer_id: str, since: datetime) -> list[KnownSend]:
        """Sends of a customer whose slot lies after `since` and that may be shown now, the latest slot first.

        `kind`: the channel's type. Left out is what the customer has answered, what is stopped, and all of whoever is
        suppressed or wants no more of it.
        """

    def displayed(self, send_id: str, day: date) -> int:
        """Count that an app has displayed one, on the customer's `day`: how often that was on the latest such day."""

    def displays(self, send_ids: Sequence[str]) -> dict[str, tuple[date, int]]:
        """The latest day on which each was displayed, and how often; those that never were are left out."""
