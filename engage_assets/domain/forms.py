"""The forms on which people answer: which one a program uses follows from its source."""

from dataclasses import dataclass
from typing import Final

from engage_assets.domain.notices import PAGES
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES


@dataclass(frozen=True)
class Form:
    """A page for answers."""

    name: str
    """Also its place in the service: `/<name>/{token}`."""
    may_edit: bool
    """Whether a second answer edits the first, on the page or by any other channel; else the first counts."""
    has_survey: bool = False
    """Whether those who came are asked how it was, on the page `survey`."""


FORMS: Final[dict[str, Form]] = {
    form.name: form
    for form in (
        Form("review", may_edit=False),
        Form("feedback", may_edit=True),
        Form("registration", may_edit=False, has_survey=True),
    )
}
"""By the name that a source gives."""


def form_of(program: Program | None) -> Form:
    """A program's form; of a program that is no longer there the first one."""
    source = SOURCES.get(program.source_table) if program else None
    return FORMS[source.form] if source else next(iter(FORMS.values()))


def page_of(program: Program | None, kind: str | None) -> str:
    """Name of the page to which a message leads: the program's form, but for notices that have a page of their own."""
    return PAGES.get(kind or "") or form_of(program).name
