"""Watching the event catalogue: changes of it are told to an asset, and seats that became free go to the line."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.describe import markdown_table
from engage_assets.defs.event_lines import promote_lines
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import Registrations
from engage_assets.events.catalogue import Catalogue, change_between

TICK_SECONDS: Final = 60
KEY: Final = dg.AssetKey(["events", "catalogue"])
LISTED: Final = 100
"""Changes that metadata list."""
_HEAD: Final = ("event_id", "change", "starts_at", "time_zone", "duration_minutes", "known_at")


def changes_since(seen: Mapping[str, int], histories: Mapping[str, Sequence[Event]]) -> list[tuple[Event, str]]:
    """Events that have more versions than were `seen`, each as it stands now with what became of it, by id.

    added, moved, cancelled, revived (takes place after all), or changed (in anything else).
    """
    found: list[tuple[Event, str]] = []
    for event_id, versions in sorted(histories.items()):
        count = seen.get(event_id, 0)
        if len(versions) > count:
            now = versions[-1]
            found.append((now, "added" if not count else change_between(versions[count - 1], now) or "changed"))
    return found


def catalogue_sensor(programs: Iterable[Program] = ()) -> dg.SensorDefinition:
    """Reports what changed in the catalogue; what is there at its first tick is one report.

    `programs`: whose lines get the seats that became free by whatever hand.
    """
    about_events = [one for one in programs if one.event_config]

    @dg.sensor(
        name="event_catalogue",
        minimum_interval_seconds=TICK_SECONDS,
        description="Reports events that were added, moved or cancelled to the asset `events/catalogue`, and gives"
        " seats that became free to the line.",
    )
    def event_catalogue(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        registrations: dg.ResourceParam[Registrations],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        table = warehouse.scan(EVENTS, str(EVENTS.database))
        catalogue = Catalogue.of(table.collect()) if table is not None else Catalogue(())
        now = clock.now()
        histories = {one: catalogue.history(one, now) for one in catalogue.known(now)}
        stands = {one: versions[-1] for one, versions in histories.items()}
        promoted = promote_lines(about_events, stands, warehouse, registrations, now)
        changes = changes_since(json.loads(context.cursor or "{}"), histories)
        if changes:
            context.instance.report_runless_asset_event(_report(changes, len(catalogue.set_aside)))
        cursor = json.dumps({one: len(versions) for one, versions in sorted(histories.items())})
        said = [_said(changes) or "the catalogue is as it was", *_promoted(promoted)]
        return dg.SensorResult(skip_reason="; ".join(said), cursor=cursor)

    return event_catalogue


def _report(changes: Sequence[tuple[Event, str]], set_aside: int) -> dg.AssetMaterialization:
    rows = [
        {"event_id": one.event_id, "change": change, **{name: getattr(one, name) for name in _HEAD[2:]}}
        for one, change in changes[:LISTED]
    ]
    metadata: dict[str, Any] = {"changes": markdown_table(pl.DataFrame(rows)), "rows_set_aside": set_aside}
    counts = {name: sum(change == name for _, change in changes) for name in sorted({change for _, change in changes})}
    return dg.AssetMaterialization(KEY, description=_said(changes), metadata=metadata | counts)


def _promoted(found: Mapping[str, int]) -> Iterator[str]:
    """In words: who got a seat."""
    if found:
        yield f"{sum(found.values())} in the line of {', '.join(sorted(found))} got a seat"


def _said(changes: Sequence[tuple[Event, str]]) -> str:
    """In words: few by name, many by number."""
    few = 5
    if len(changes) > few:
        return f"{len(changes)} events changed"
    return ", ".join(f"{event.event_id} was {change}" for event, change in changes)


def catalogue_definitions(programs: Iterable[Program]) -> dg.Definitions:
    """The sensor and its asset, where a program is about events."""
    about_events = [program for program in programs if program.event_config]
    if not about_events:
        return dg.Definitions()
    spec = dg.AssetSpec(
        KEY,
        description="The event catalogue, `events.events` of the warehouse: an event for each change of it.\n\n"
        "Reported by the sensor `event_catalogue`, which also gives seats that became free to the line;"
        " `engage events show` lists an event's versions.",
        group_name="events",
        kinds={"table"},
    )
    return dg.Definitions(assets=[spec], sensors=[catalogue_sensor(about_events)])
