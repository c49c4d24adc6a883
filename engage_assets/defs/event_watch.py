"""Watching the event catalogue: events that were added, moved or cancelled are told to an asset."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.describe import markdown_table
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
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


def catalogue_sensor() -> dg.SensorDefinition:
    """Reports what changed in the catalogue; what is there at its first tick is one report."""

    @dg.sensor(
        name="event_catalogue",
        minimum_interval_seconds=TICK_SECONDS,
        description="Reports events that were added, moved or cancelled to the asset `events/catalogue`.",
    )
    def event_catalogue(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse], clock: dg.ResourceParam[Clock]
    ) -> dg.SensorResult:
        table = warehouse.scan(EVENTS, str(EVENTS.database))
        catalogue = Catalogue.of(table.collect()) if table is not None else Catalogue(())
        now = clock.now()
        histories = {one: catalogue.history(one, now) for one in catalogue.known(now)}
        changes = changes_since(json.loads(context.cursor or "{}"), histories)
        if changes:
            context.instance.report_runless_asset_event(_report(changes, len(catalogue.set_aside)))
        cursor = json.dumps({one: len(versions) for one, versions in sorted(histories.items())})
        return dg.SensorResult(skip_reason=_said(changes) or "the catalogue is as it was", cursor=cursor)

    return event_catalogue


def _report(changes: Sequence[tuple[Event, str]], set_aside: int) -> dg.AssetMaterialization:
    rows = [
        {"event_id": one.event_id, "change": change, **{name: getattr(one, name) for name in _HEAD[2:]}}
        for one, change in changes[:LISTED]
    ]
    metadata: dict[str, Any] = {"changes": markdown_table(pl.DataFrame(rows)), "rows_set_aside": set_aside}
    counts = {name: sum(change == name for _, change in changes) for name in sorted({change for _, change in changes})}
    return dg.AssetMaterialization(KEY, description=_said(changes), metadata=metadata | counts)


def _said(changes: Sequence[tuple[Event, str]]) -> str:
    """In words: few by name, many by number."""
    few = 5
    if len(changes) > few:
        return f"{len(changes)} events changed"
    return ", ".join(f"{event.event_id} was {change}" for event, change in changes)


def catalogue_definitions(programs: Iterable[Program]) -> dg.Definitions:
    """The sensor and its asset, where a program is about events."""
    if not any(program.event_config for program in programs):
        return dg.Definitions()
    spec = dg.AssetSpec(
        KEY,
        description="The event catalogue, `events.events` of the warehouse: an event for each change of it.\n\n"
        "Reported by the sensor `event_catalogue`; `engage events show` lists an event's versions.",
        group_name="events",
        kinds={"table"},
    )
    return dg.Definitions(assets=[spec], sensors=[catalogue_sensor()])
