"""E-mail: a list becomes campaigns, rendered with the person's name, address and links left open.

Templates (see `channels.editions`) are given the `name` of what is asked about, its `maker`, and each
of the source's segments by its column's name; of what begins at an instant the `date` (ISO), `time` (HH:MM) and `zone`
where the recipient lives; empty where they are not known. Merge fields (`%%greeting%%`,
`%%answer_url%%`) and what depends on a service (`%%links%%` … `%%no_links%%` … `%%end%%`) are filled at the send, by
`channels.message`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from jinja2 import Template

from engage_assets.channels.editions import Edition, edition, language_of, template_ids
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

REMEMBERED: Final = 16_384
"""Messages without a person that are kept at least for the next rows; more than these, and the older half goes."""
SUBJECT_NAME_LENGTH: Final = 60
"""Characters of a subject's name that the subject line shows: mail programs cut longer lines themselves."""


def check_template(program: Program, channel: EmailChannel) -> None:
    """Raise EngageError unless the channel's template exists."""
    known = template_ids("message")
    if channel.config.template_id not in known:
        raise EngageError(
            f"{program.program_id}: channels.config.templateId: no template is called "
            f"{channel.config.template_id!r}; there are: {', '.join(known)}"
        )


_Letter = tuple[str | None, ...]
"""`_TEXTS` of a message, in their order."""
_TEXTS: Final = (
    "subject_name", "subject_maker", "locale", "subject", "text", "html", "greeting_named", "greeting_plain",
)  # fmt: skip


@dataclass(frozen=True)
class _Letterhead:
    """What is the same in all messages of one marketplace and language."""

    edition: Edition
    text: Template
    html: Template
    text_words: dict[str, Any]
    html_words: dict[str, Any]

    @classmethod
    def of(cls, edition: Edition, marketplace: Marketplace) -> "_Letterhead":
        """With the marketplace's sender, and everything that is the same written into the templates."""
        same = {
            "language": edition.language,
            "sender_name": one_line(marketplace.sender_name),
            "postal_address": one_line(", ".join(marketplace.postal_address.strip().splitlines())),
        }
        text_words, html_words = edition.text_words | same, edition.html_words | same
        text, html = (
            written_in(template, words, edition.words)
            for template, words in ((edition.text, text_words), (edition.html, html_words))
        )
        return cls(edition, text, html, text_words, html_words)

    def render(self, about: Mapping[str, str]) -> tuple[str, str, str]:
        """The subject line, the text part and the HTML part; `about`: name, maker and segments, empty: not known."""
        dated = {"date": about["date"]} if "date" in about else {}
        subject = self.edition.text_words["question"](shortened(about["name"]), **dated)
        values = {**about, "subject": subject}
        return subject, self.text.render(self.text_words | values), self.html.render(self.html_words | values)

    def letter(self, about: Mapping[str, str]) -> _Letter:
        """`_TEXTS` of a message."""
        named = (about["name"] or None, about["maker"] or None)
        greetings = (self.text_words["greeting_named"], self.text_words["greeting_plain"])
        return (*named, self.edition.language, *self.render(about), *greetings)


class Letters:
    """Messages without a person, by marketplace, locale and what they tell: one that many people get is made once."""

    def __init__(self) -> None:
        self._told: pl.DataFrame | None = None
        self._texts = pl.DataFrame(schema=dict.fromkeys(_TEXTS, pl.String()))

    def of(self, told: pl.DataFrame, letter: Callable[[tuple[Any, ...]], _Letter]) -> pl.DataFrame:
        """`_TEXTS` of each row of `told`; `letter` makes those of a row that is not known."""
        known = told.clear() if self._told is None else self._told
        if known.height > REMEMBERED:
            known, self._texts = known.tail(REMEMBERED // 2), self._texts.tail(REMEMBERED // 2)
        new = told.unique(maintain_order=True)
        new = new.join(known, on=told.columns, how="anti", nulls_equal=True, maintain_order="left")
        made = [letter(values) for values in new.iter_rows()]
        texts = [pl.Series(name, [one[at] for one in made], pl.String) for at, name in enumerate(_TEXTS)]
        self._told = pl.concat([known, new])
        self._texts = pl.concat([self._texts, pl.DataFrame(texts)])
        numbered = self._told.with_row_index("letter")
        found = told.join(numbered, on=told.columns, how="left", nulls_equal=True, maintain_order="left")
        return self._texts[found["letter"]]


def shortened(name: str) -> str:
    """`name` cut at a blank where it is too long for a subject line."""
    if len(name) <= SUBJECT_NAME_LENGTH:
        return name
    cut = name[: SUBJECT_NAME_LENGTH - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip() + "…"


@cache
def _letterhead(template_id: str, language: str, marketplace: Marketplace) -> _Letterhead:
    return _Letterhead.of(edition(template_id, "message", language), marketplace)


def render(
    listed: pl.DataFrame,
    *,
    program: Program,
    channel: EmailChannel,
    marketplaces: Mapping[str, Marketplace],
    letters: Letters | None = None,
) -> pl.DataFrame:
    """The messages of a list, one per row and in its order.

    `listed` has LIST_COLUMNS, `subject_name` (null or blank: the template speaks of it in general) and, where the
    source names makers, `subject_maker`; the result has EMAIL_CAMPAIGNS's schema. The name, address and links of the
    person stay open. `letters` passes on what other calls for the same channel made.
    Raises EngageError for an unknown template or a marketplace that marketplaces.yaml lacks.
    """
    check_template(program, channel)
    template_id = channel.config.template_id
    unknown = sorted(set(listed["marketplace"].to_list()) - set(marketplaces))
    if unknown:
        raise EngageError(
            f"{program.program_id}: marketplaces.yaml has no {', '.join(map(str, unknown))}; add it there"
        )

    def letter(values: tuple[Any, ...]) -> _Letter:
        code, locale, *about = values
        head = _letterhead(template_id, language_of(template_id, locale, marketplaces[code]), marketplaces[code])
        return head.letter(_about(about, program))

    texts = (letters or Letters()).of(_told(listed, program), letter)
    sent = send_ids(listed, program.program_id, channel.channel_id)
    return listed.with_columns(sent, *texts, template_id=pl.lit(template_id)).select(EMAIL_CAMPAIGNS.names)


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
