"""Own figures of programs, by the table that is their source."""

from typing import Final

from engage_assets.domain import events, music
from engage_assets.domain.program import Program
from engage_assets.domain.source import Source
from engage_assets.domain.sources import SOURCES
from engage_assets.outcomes.event_figures import OWN as EVENTS
from engage_assets.outcomes.music_figures import OWN as MUSIC
from engage_assets.outcomes.own import OwnFigures

OWN_FIGURES: Final[dict[str, OwnFigures]] = {
    music.SOURCE.table.name: MUSIC,
    events.SOURCE.table.name: EVENTS,
}


def own_figures(program: Program) -> OwnFigures | None:
    """The program's own figures; None: it has none."""
    return OWN_FIGURES.get(program.source_table)


def source_of(program: Program) -> Source:
    """What the program's source table holds."""
    return SOURCES[program.source_table]
