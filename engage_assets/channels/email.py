"""E-mail: a list becomes campaigns, rendered with the person's name, address and links left open.

A template is a folder under `templates/`: `message.html.j2` and `message.txt.j2` lay it out, and one
file per language (`de.j2`) holds its words. They are given the `name` of what is asked about, its `maker`, and each
of the source's segments by its column's name; of what begins at an instant the `date` (ISO), `time` (HH:MM) and `zone`
where the recipient lives; empty where they are not known. Merge fields (`%%greeting%%`,
`%%answer_url%%`) and what depends on a service (`%%links%%` … `%%no_links%%` … `%%end%%`) are filled at the send, by
`channels.message`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from engage_assets.channels.merge import one_line
from engage_assets.channels.send_ids import send_ids
from engage_assets.channels.written_in import written_in
from engage_assets.domain.channel_specs import EmailChannel
from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.source import UNKNOWN
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import EMAIL_CAMPAIGNS

FALLBACK_LANGUAGE: Final = "en"
REMEMBERED: Final = 16_384
"""Messages without a person that are kept, so that the same one is rendered once for many people."""
SUBJECT_NAME_LENGTH: Final = 60
"""Characters of a subject's name that the subject line shows: mail programs cut longer lines themselves."""

_TEMPLATES = Path(__file__).with_name("templates")
_LANGUAGE_FILE = re.compile(r"([a-z]{2,3})\.j2")
_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class _Edition:
    """A template in one language, compiled."""

    language: str
    question: Callable[..., str]
    greeting_named: str
    greeting_plain: str
    text: Template
    text_words: dict[str, Any]
    html: Template
    html_words: dict[str, Any]


@cache
def template_ids() -> tuple[str, ...]:
    """The ids that a program may name as `templateId`."""
    return tuple(sorted(layout.parent.name for layout in _TEMPLATES.glob("*/message.html.j2")))


@cache
def languages(template_id: str) -> frozenset[str]:
    """Languages of a template; every one has English."""
    names = (_LANGUAGE_FILE.fullmatch(file.name) for file in (_TEMPLATES / template_id).iterdir())
    return frozenset(name[1] for name in names if name)


def check_template(program: Program, channel: EmailChannel) -> None:
    """Raise EngageError unless the channel's template exists."""
    if channel.config.template_id not in template_ids():
        raise EngageError(
            f"{program.program_id}: channels.config.templateId: no template is called "
            f"{channel.config.template_id!r}; there are: {', '.join(template_ids())}"
        )


def language_of(template_id: str, locale: str | None, marketplace: Marketplace) -> str:
    """The language of a message: the locale's, else the marketplace's, else English.

    The marketplace's is taken where the locale is null or is none; a language that the template
    lacks is English.
    """
    match = _LOCALE.fullmatch((locale or "").strip()) or _LOCALE.fullmatch(marketplace.locale)
    language = match[1].lower() if match else FALLBACK_LANGUAGE
    return language if language in languages(template_id) else FALLBACK_LANGUAGE


@cache
def _edition(template_id: str, language: str) -> _Edition:
    loader = FileSystemLoader(_TEMPLATES / template_id)
    plain, marked = (
        SandboxedEnvironment(
            loader=loader,
            autoescape=autoescape,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )
        for autoescape in (False, True)
    )
    # Names in the context, not attributes of a module: the sandbox would check each access, at half the whole cost.
    text_words, html_words = (vars(env.get_template(_words_of(language)).module) for env in (plain, marked))
    return _Edition(
        language=language,
        question=text_words["question"],
        greeting_named=text_words["greeting_named"],
        greeting_plain=text_words["greeting_plain"],
        text=plain.get_template("message.txt.j2"),
        text_words=text_words,
        html=marked.get_template("message.html.j2"),
        html_words=html_words,
    )


def _words_of(language: str) -> str:
    """The file of a template's words."""
    return f"{language}.j2"


_Letter = tuple[str | None, ...]
"""`_TEXTS` of a message, in their order."""
Rendered = dict[tuple[Any, ...], _Letter]
"""Messages without a person by marketplace, locale and what they tell; the longest known first."""
_TEXTS: Final = (
    "subject_name", "subject_maker", "locale", "subject", "text", "html", "greeting_named", "greeting_plain",
)  # fmt: skip


@dataclass(frozen=True)
class _Letterhead:
    """What is the same in all messages of one marketplace and language."""

    edition: _Edition
    text: Template
    html: Template
    text_words: dict[str, Any]
    html_words: dict[str, Any]

    @classmethod
    def of(cls, edition: _Edition, marketplace: Marketplace) -> "_Letterhead":
        """With the marketplace's sender, and everything that is the same written into the templates."""
        same = {
            "language": edition.language,
            "sender_name": one_line(marketplace.sender_name),
            "postal_address": one_line(", ".join(marketplace.postal_address.strip().splitlines())),
        }
        text_words, html_words = edition.text_words | same, edition.html_words | same
        macros = _words_of(edition.language)
        text, html = written_in(edition.text, text_words, macros), written_in(edition.html, html_words, macros)
        return cls(edition, text, html, text_words, html_words)

    def render(self, about: Mapping[str, str]) -> tuple[str, str, str]:
        """The subject line, the text part and the HTML part; `about`: name, maker and segments, empty: not known."""
        dated = {"date": about["date"]} if "date" in about else {}
        subject = self.edition.question(shortened(about["name"]), **dated)
        values = {**about, "subject": subject}
        return subject, self.text.render(self.text_words | values), self.html.render(self.html_words | values)

    def letter(self, about: Mapping[str, str]) -> _Letter:
        """`_TEXTS` of a message."""
        edition, named = self.edition, (about["name"] or None, about["maker"] or None)
        return (*named, edition.language, *self.render(about), edition.greeting_named, edition.greeting_plain)


def shortened(name: str) -> str:
    """`name` cut at a blank where it is too long for a subject line."""
    if len(name) <= SUBJECT_NAME_LENGTH:
        return name
    cut = name[: SUBJECT_NAME_LENGTH - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip() + "…"


@cache
def _letterhead(template_id: str, language: str, marketplace: Marketplace) -> _Letterhead:
    return _Letterhead.of(_edition(template_id, language), marketplace)


def render(
    listed: pl.DataFrame,
    *,
    program: Program,
    channel: EmailChannel,
    marketplaces: Mapping[str, Marketplace],
    rendered: Rendered | None = None,
) -> pl.DataFrame:
    """The messages of a list, one per row and in its order.

    `listed` has LIST_COLUMNS, `subject_name` (null or blank: the template speaks of it in general) and, where the
    source names makers, `subject_maker`; the result has EMAIL_CAMPAIGNS's schema. The name, address and links of the
    person stay open. `rendered` passes on what other calls for the same channel made: at most REMEMBERED.
    Raises EngageError for an unknown template or a marketplace that marketplaces.yaml lacks.
    """
    check_template(program, channel)
    template_id = channel.config.template_id
    unknown = sorted(set(listed["marketplace"].to_list()) - set(marketplaces))
    if unknown:
        raise EngageError(
            f"{program.program_id}: marketplaces.yaml has no {', '.join(map(str, unknown))}; add it there"
        )
    rendered = {} if rendered is None else rendered
    told = _told(listed, program)
    # A letter stands once, however many people get it.
    different = told.unique(maintain_order=True)
    letters = []
    for known in different.iter_rows():
        if known not in rendered:
            code, locale, *values = known
            head = _letterhead(template_id, language_of(template_id, locale, marketplaces[code]), marketplaces[code])
            if len(rendered) >= REMEMBERED:
                del rendered[next(iter(rendered))]
            rendered[known] = head.letter(_about(values, program))
        letters.append(rendered[known])
    texts = pl.DataFrame([pl.Series(name, [one[at] for one in letters], pl.String) for at, name in enumerate(_TEXTS)])
    numbered = different.with_row_index("letter")
    chosen = told.join(numbered, on=told.columns, how="left", nulls_equal=True, maintain_order="left")["letter"]
    sent = send_ids(listed, program.program_id, channel.channel_id)
    return listed.with_columns(sent, *texts[chosen], template_id=pl.lit(template_id)).select(EMAIL_CAMPAIGNS.names)


def _told(listed: pl.DataFrame, program: Program) -> pl.DataFrame:
    """Of each row `marketplace`, `locale`, and what a template may tell.

    That is name, maker and the source's segments; of what begins, when and where.
    """
    source = SOURCES[program.source_table]
    # Lists that were made before there were segments have none.
    lists = pl.col("segments") if "segments" in listed.columns else pl.lit(None, dtype=pl.List(pl.String))
    optional = {"subject_maker": pl.String(), "subject_starts_at": pl.Datetime("us")}
    there = {
        name: pl.col(name) if name in listed.columns else pl.lit(None, dtype=kind) for name, kind in optional.items()
    }
    when = {"start": there["subject_starts_at"], "zone": pl.col("time_zone")} if source.subjects.starts else {}
    return listed.select(
        "marketplace",
        "locale",
        name=pl.col("subject_name"),
        maker=there["subject_maker"],
        **{
            name: lists.list.get(place, null_on_oob=True).replace(UNKNOWN, None)
            for place, name in enumerate(source.segments)
        },
        **when,
    )


def _about(values: Sequence[Any], program: Program) -> dict[str, str]:
    """What a template is given of the values that `_told` gives, but for the first two."""
    source = SOURCES[program.source_table]
    names = ("name", "maker", *source.segments)
    about = {name: one_line(value) for name, value in zip(names, values, strict=False)}
    return about | _when(*values[len(names) :]) if source.subjects.starts else about


def _when(at: datetime | None, zone: str) -> dict[str, str]:
    """When it begins on the clocks of `zone`."""
    if at is None:
        return {"date": "", "time": "", "zone": ""}
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}", "zone": zone}
