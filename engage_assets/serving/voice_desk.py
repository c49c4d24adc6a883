"""Asking by voice: whom about what, in which words; and what is made of the answer. Routes and skills go through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from engage_assets.dispatch.pace import is_quiet
from engage_assets.domain.channel_specs import VoiceChannel
from engage_assets.domain.claim_rules import claim_rules
from engage_assets.domain.keys import campaign_id
from engage_assets.domain.prompts import Issued, Prompt, Reply, Wish, session_key
from engage_assets.domain.sends import Send
from engage_assets.domain.statuses import ACTIVE
from engage_assets.serving.names import program_of
from engage_assets.serving.problems import RETRY_SECONDS, Problem, ask, asking, log_fault, unknown
from engage_assets.serving.services import Services
from engage_assets.serving.voice_documents import NextPromptQuery
from engage_assets.serving.voice_rounds import Act, Rounds
from engage_assets.voice.prompts import prompt_text
from engage_assets.voice.words import understand

TRIED: Final = 10
"""Candidates of one listener that are tried, the best first, where it is open what to ask about."""
STORED: Final = 1_000
_VOICE: Final = "voice"


@dataclass(frozen=True)
class Spoken:
    """A prompt in words, or why there is none."""

    prompt: Prompt | None
    text: str = ""
    options: tuple[str, ...] = ()
    """Answers that are taken."""
    reason: str | None = None


@dataclass(frozen=True)
class Heard:
    """An answer as it was understood; `is_positive` None: not understood, and nothing was recorded."""

    is_positive: bool | None
    locale: str


class VoiceDesk:
    """Questions and answers by voice."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ask = asking(in_threads=services.store_is_remote)
        self._rounds = Rounds(services.prompts, services.clock) if services.prompts else None
        self._channels = {
            program.program_id: channel
            for program in services.programs.values()
            if program.enabled
            for channel in program.enabled_channels
            if isinstance(channel, VoiceChannel)
        }
        self._rules = {
            program_id: claim_rules(services.programs[program_id], channel)
            for program_id, channel in self._channels.items()
        }

    async def next_prompt(self, asked: NextPromptQuery) -> Spoken:
        """A question for a listener's session. 404 for a program that does not ask by voice."""
        programs = self._services.programs
        if asked.program and program_of(programs, asked.program).program_id not in self._channels:
            raise unknown("program that asks by voice", list(self._channels))
        now = self._services.clock.now()
        store = self._services.store
        rows = await self._ask(store.of_customer, asked.customer, asked.program, now, channel=_VOICE, limit=STORED)
        kept, reason = self._askable(rows, asked, now)
        session = session_key(asked.customer, asked.session_id)
        if not kept:
            return self._in_words(await self._present(session, asked, reason, now))
        sends = tuple(send for row in kept[:TRIED] if (send := self._send(row, asked, now)))
        if not sends:
            return Spoken(None, reason="NAME_UNKNOWN")
        first = kept[0]["program"]
        config = self._channels[first].config
        wish = Wish(
            session=session,
            customer_id=asked.customer,
            sends=sends,
            rules=self._rules[first],
            expires_at=now + timedelta(minutes=config.prompt_minutes),
            subject_id=asked.subject,
        )
        return self._in_words(await self._take(wish))

    async def answer(self, prompt_id: str, customer_id: str, said: str | bool, locale: str | None) -> Heard:  # noqa: FBT001 – or words
        """Record what was said to a prompt. 404: no such prompt of this listener; 410: it has expired."""
        if locale is None:
            prompt = await ask(self._prompts.find, prompt_id)
            locale = (prompt.locale if prompt else None) or "en"
        is_positive = said if isinstance(said, bool) else understand(said, locale)
        if is_positive is None:
            return Heard(None, locale)
        recorded = await self._take(Reply(prompt_id, customer_id, is_positive))
        if recorded.result == "unknown":
            raise Problem(404, "no such prompt of this customer")
        if recorded.result == "expired":
            raise Problem(410, "the prompt has expired: it takes no answer any more")
        return Heard(is_positive, locale)

    @property
    def _prompts(self) -> Any:
        if self._services.prompts is None:
            raise Problem(404, "this service asks nothing by voice")
        return self._services.prompts

    async def _take(self, act: Act) -> Any:
        """What the ledger makes of it; 503 where it fails."""
        if self._rounds is None:
            raise Problem(404, "this service asks nothing by voice")
        try:
            return await (self._rounds.issue(act) if isinstance(act, Wish) else self._rounds.record(act))
        except Exception as error:  # noqa: BLE001 – any driver's; its message may hold personal data
            log_fault("unavailable", error)
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise Problem(503, "a database that this request needs does not answer", headers=headers) from None

    def _askable(
        self, rows: Sequence[Mapping[str, Any]], asked: NextPromptQuery, now: datetime
    ) -> tuple[list[Mapping[str, Any]], str]:
        """Candidates that may be asked about now, of one program, and the reason where there is none."""
        active = [row for row in rows if row["status"] == ACTIVE and row["program"] in self._channels]
        active = [row for row in active if asked.subject in (None, row["subject_id"])]
        awake = [row for row in active if not self._is_night(row, now)]
        loud = [row for row in awake if not self._channels[row["program"]].shadow]
        reason = "SHADOW" if awake else "QUIET_HOURS" if active else "NO_CANDIDATE"
        return [row for row in loud if row["program"] == loud[0]["program"]], reason

    def _is_night(self, row: Mapping[str, Any], now: datetime) -> bool:
        place = self._services.marketplaces.get(row["marketplace"])
        zone = row["time_zone"] or (place.time_zone if place else "UTC")
        return is_quiet(self._services.programs[row["program"]].quiet_hours, now, zone)

    def _send(self, row: Mapping[str, Any], asked: NextPromptQuery, now: datetime) -> Send | None:
        """The send by which a candidate would be asked; None where its name is needed and not known."""
        program, channel = self._services.programs[row["program"]], self._channels[row["program"]]
        name = asked.subject_name if asked.subject else None
        name = name or self._services.subject_name(program.program_id, row["subject_id"])
        locale = asked.locale or self._locale(row)
        if name is None and prompt_text(channel.config, locale, row["subject_type"], name) is None:
            return None
        place, partition = row["marketplace"], row["partition_date"]
        return Send(
            program=program.program_id,
            campaign_id=campaign_id(program.program_id, channel.channel_id, partition, place),
            customer_id=row["customer_id"],
            subject_id=row["subject_id"],
            channel=channel.channel_id,
            slot_at=now,
            cap_scope=program.scope,
            marketplace=place,
            subject_type=row["subject_type"],
            subject_name=name,
            locale=locale,
            priority=program.program_priority,
        )

    def _locale(self, row: Mapping[str, Any]) -> str:
        place = self._services.marketplaces.get(row["marketplace"])
        return row["locale"] or (place.locale if place else "en")

    async def _present(self, session: str, asked: NextPromptQuery, reason: str, now: datetime) -> Issued:
        """The prompt that a session waits with, though its candidate is no longer active; else the reason."""
        prompt: Prompt | None = await ask(self._prompts.of_session, session)
        if prompt is None:
            return Issued(None, reason)
        await ask(self._prompts.settle)
        is_open = prompt.answer is None and now < prompt.expires_at and asked.subject in (None, prompt.subject_id)
        return Issued(prompt) if is_open else Issued(None, "SESSION_ASKED")

    def _in_words(self, issued: Issued) -> Spoken:
        prompt = issued.prompt
        channel = self._channels.get(prompt.program) if prompt else None
        if prompt is None or channel is None:
            return Spoken(None, reason=issued.reason or "NO_CANDIDATE")
        text = prompt_text(channel.config, prompt.locale or "en", prompt.subject_type, prompt.subject_name)
        return Spoken(prompt, text or channel.config.prompt, channel.config.response_options)
