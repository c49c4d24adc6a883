"""What the web service works with: ports and settings, handed in by whoever starts it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engage_assets.domain.banners import Banners
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import PushSubscriptions
from engage_assets.domain.ports import AccountLinks, CandidateReader, CandidateWriter, Clock, Contacts, Prompts
from engage_assets.domain.program import Program
from engage_assets.domain.tokens import Signer
from engage_assets.scoring.explanations import Explanation
from engage_assets.serving.registration_events import EventServices
from engage_assets.voice.alexa_signature import Verifier


@dataclass(frozen=True)
class Limits:
    """What one request may ask for or bring."""

    body_bytes: int = 64 * 1024
    """Of requests without photos."""
    photo_bytes: int = 5 * 1024 * 1024
    photos: int = 3
    text_length: int = 5_000
    """Of a review, in code points."""
    comment_length: int = 200
    """Of feedback, in characters as a person counts them."""
    dietary_length: int = 200
    """Of dietary preferences, counted alike."""
    survey_length: int = 2_000
    """Of a survey's comment, counted alike."""
    page_rows: int = 1_000
    stream_rows: int = 100_000
    customers: int = 1_000
    """In one batch query."""


@dataclass(frozen=True)
class AlexaSkill:
    """The Alexa skill that this service answers."""

    applications: frozenset[str]
    """Ids of the skill, `amzn1.ask.skill.…`; requests for others are refused."""
    verifier: Verifier
    accounts: AccountLinks


@dataclass(frozen=True)
class PushServices:
    """What pages about notifications work with."""

    subscriptions: PushSubscriptions
    public_key: str | None = None
    """What browsers subscribe with (applicationServerKey); None: pages offer no notifications."""


@dataclass(frozen=True)
class Services:
    """One running service."""

    programs: Mapping[str, Program]
    """By programId."""
    marketplaces: Mapping[str, Marketplace]
    store: CandidateReader
    writer: CandidateWriter
    contacts: Contacts
    signer: Signer
    clock: Clock
    photos: Path
    """The folder of uploaded photos."""
    webhook_secrets: Mapping[str, bytes] = field(default_factory=dict)
    """Secret of each form of events from outside (`ses`, `generic`, `attendance`); one without is not there."""
    limits: Limits = field(default_factory=Limits)
    store_is_remote: bool = False
    """Whether calls of the store wait for a network: they are then made in threads."""
    explain: Callable[[Mapping[str, Any]], Sequence[Explanation]] | None = None
    """Why a row of the store has its score, by model; None: the service does not know (no lake, no models).

    Raises EngageError where features or model are no longer kept.
    """
    instance: str = "service"
    """Name of this process in what it measures."""
    prompts: Prompts | None = None
    """None: this service asks nothing by voice."""
    subject_name: Callable[[str, str], str | None] = lambda _program, _subject: None
    """Name of a program's subject, where it is known."""
    alexa: AlexaSkill | None = None
    """None: there is no Alexa skill."""
    events: EventServices | None = None
    """None: nobody registers for events here."""
    banners: Banners | None = None
    """None: no app asks for banners."""
    push: PushServices | None = None
    """None: nobody takes notifications."""
    public_url: str = ""
    """Where people reach the service, without a slash at its end; empty: links of banners begin at the root."""
