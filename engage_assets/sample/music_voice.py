"""The voice assistant of the synthetic world: after a track it may ask something, and passes the answer on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from engage_assets.sample.music_people import Minds
from engage_assets.sample.people import draws
from engage_assets.sample.visits import Round

SESSION: Final = timedelta(minutes=30)
"""Plays of a listener that follow each other within this time are one session."""
_THINKING: Final = timedelta(seconds=4)
_SILENT: Final = 0.25
"""Share of the questions to which nothing is said."""
_SAID: Final[Mapping[str, Mapping[bool, tuple[str, ...]]]] = {
    "en": {True: ("yes", "yeah", "sure"), False: ("no", "nope", "not really")},
    "de": {True: ("ja", "klar"), False: ("nein", "nee")},
    "fr": {True: ("oui", "bien sûr"), False: ("non", "pas du tout")},
    "ja": {True: ("はい", "うん"), False: ("いいえ", "違います")},
    "hi": {True: ("हाँ", "जी हाँ"), False: ("नहीं",)},
    "es": {True: ("yes",), False: ("no",)},
}
"""What people say, by language; English is understood everywhere."""


@dataclass(frozen=True)
class VoiceVisit:
    """A session's track has ended, and the assistant may ask."""

    at: datetime
    customer: str
    session: str
    track: str
    minds: Minds = field(repr=False)

    @property
    def whose(self) -> str:
        """The session."""
        return self.session

    def pay(self, way: Round) -> Iterable[str]:
        """Ask for a question about the track, else about any; answer it as the listener thinks, in his language."""
        way.set_clock(self.at)
        prompt = self._next(way, subject=self.track) or self._next(way)
        if prompt is None:
            return ("ended",)
        said = self._said(prompt)
        if said is None:
            return ("ended", "prompted")
        way.set_clock(self.at + _THINKING)
        body = {"promptId": prompt["promptId"], "customer": self.customer, "answer": said}
        told = self._post(way, "answer", body)
        return ("ended", "prompted", "said" if told["result"] == "recorded" else "misheard")

    def _next(self, way: Round, **about: str) -> dict[str, Any] | None:
        body = {"customer": self.customer, "sessionId": self.session, **about}
        prompt: dict[str, Any] | None = self._post(way, "next-prompt", body)["prompt"]
        return prompt

    def _post(self, way: Round, path: str, body: dict[str, str]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {way.key}"}
        answer = way.client.post(f"{way.url}/v1/voice/{path}", json=body, headers=headers).raise_for_status()
        return dict(answer.json())

    def _said(self, prompt: Mapping[str, Any]) -> str | None:
        chance, word = draws([prompt["promptId"]], self.minds.seed, 2)[:, 0]
        if chance < _SILENT:
            return None
        pair = pl.DataFrame({"listener_id": [self.customer], "track_id": [prompt["subjectId"]]})
        words = _SAID.get(prompt["locale"][:2], _SAID["en"])[bool(self.minds.opinions(pair)["is_up"][0])]
        return words[int(word * len(words))]


def voice_visits(
    minds: Minds, plays: pl.DataFrame, customers: pl.DataFrame, since: datetime, until: datetime
) -> list[VoiceVisit]:
    """One visit a session of who has voice allowed, when its first track ends, from `since` up to `until`.

    `plays` is PLAYS, `customers` CUSTOMERS.
    """
    allowed = customers.filter("voice_allowed").select(listener_id="customer_id")
    ended = plays.filter(pl.col("ended_at").is_between(since, until, closed="right"))
    ended = ended.join(allowed, on="listener_id", how="semi").sort("listener_id", "started_at", "track_id")
    gap = pl.col("started_at") - pl.col("ended_at").shift(1).over("listener_id")
    first = ended.filter((gap > SESSION).fill_null(True)).sort("ended_at", "listener_id")
    return [
        VoiceVisit(at, listener, f"{listener} {at:%Y-%m-%dT%H:%M:%S}", track, minds)
        for at, listener, track in first.select("ended_at", "listener_id", "track_id").iter_rows()
    ]
