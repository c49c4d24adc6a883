"""A tiny warehouse of profiles, events and past registrations, in which interests decide who comes."""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engage_assets.domain.events import CUSTOMER_PROFILES, EVENTS, PAST_REGISTRATIONS, TOPICS
from engage_assets.domain.tables import CUSTOMER_TRUST, CUSTOMERS, Table

TREE = {"cloud": ("cloud-computing", "devops", "serverless"), "data": ("machine-learning", "sql", "statistics")}
LEAVES = tuple(leaf for leaves in TREE.values() for leaf in leaves)
WRITTEN = ("Cloud Computing", "DevOps ", "server_less", "ML", "sql", "Statistics")
"""How profiles write the leaves: other cases, signs and synonyms."""
CUSTOMERS_OF_WORLD = 300
ZONES = {"US": "America/New_York", "UK": "Europe/London", "DE": "Europe/Berlin", "JP": "Asia/Tokyo"}


def make_events(folder: Path, *, last_monday: date, weeks: int = 26, seed: int = 4) -> None:
    """Two events a week, each a topic's; who is interested registers and comes more often. Deterministic."""
    random = np.random.default_rng(seed)
    events, registrations, profiles, people, trust = [], [], [], [], []
    for number in range(CUSTOMERS_OF_WORLD):
        customer, place = f"c-{number:03}", list(ZONES)[number % 4]
        tags = [WRITTEN[number % 6], *(["gardening"] if number % 3 == 0 else [])] if number % 11 else []
        people.append((customer, place, None, f"{customer}@people.example"))
        trust.append((customer, datetime(2020, 1, 1), "active", 0.9, 0.1))  # noqa: DTZ001
        profiles.append((customer, tags, number % 5, number % 10 / 10, place, f"role-{number % 3}", None))
    for week in range(-weeks, 1):
        monday = last_monday + timedelta(days=7 * week)
        for place in range(2):
            topic = (2 * week + place) % 6
            event, starts = (
                f"e{week + weeks:02}-{place}",
                datetime.combine(monday, time(15)) + timedelta(days=8 + place),
            )
            known = datetime.combine(monday, time()) - timedelta(days=3)
            events.append(_event(event, known, starts, LEAVES[topic]))
            for number in range(CUSTOMERS_OF_WORLD if week < -1 else 0):
                fits = number % 6 == topic and number % 11
                if random.random() < (0.15 + 0.05 * (number % 10) if fits else 0.01):
                    at = datetime.combine(monday, time(10)) + timedelta(hours=int(random.integers(1, 150)))
                    registrations.append((f"c-{number:03}", event, at, bool(random.random() < 0.8)))
    tree = [(leaf, parent, [WRITTEN[LEAVES.index(leaf)]]) for parent, leaves in TREE.items() for leaf in leaves]
    _write(folder, TOPICS, [*tree, ("cloud", None, []), ("data", None, [])], TOPICS.names)
    _write(folder, CUSTOMER_PROFILES, profiles, CUSTOMER_PROFILES.names)
    _write(folder, CUSTOMERS, people, ("customer_id", "marketplace", "time_zone", "email"))
    _write(folder, CUSTOMER_TRUST, trust, CUSTOMER_TRUST.names)
    _write(folder, PAST_REGISTRATIONS, registrations, ("customer_id", "event_id", "registered_at", "attended"))
    pl.DataFrame(events, schema=EVENTS.schema).write_parquet(path_of(folder, EVENTS))


def _event(event: str, known: datetime, starts: datetime, topic: str) -> dict[str, Any]:
    return {
        "event_id": event, "known_at": known, "name": f"All about {topic}", "topics": [topic], "starts_at": starts,
        "time_zone": "Europe/Berlin", "duration_minutes": 60, "event_type": "webinar", "speakers": [f"s-{topic}"],
        "target_regions": None, "capacity": None, "join_link": None, "languages": None, "status": "scheduled",
    }  # fmt: skip


def add_version(folder: Path, event: str, **changes: Any) -> None:
    """Another version of an event: its latest one, but for `changes`."""
    path = path_of(folder, EVENTS)
    events = pl.read_parquet(path)
    row = events.filter(pl.col("event_id") == event).sort("known_at").row(-1, named=True)
    pl.concat([events, pl.DataFrame([row | changes], schema=EVENTS.schema)]).write_parquet(path)


def _write(folder: Path, table: Table, rows: list[Any], names: Any) -> None:
    schema = {name: table.schema[name] for name in names}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path_of(folder, table))


def path_of(folder: Path, table: Table) -> Path:
    """Where the world's table lies."""
    path = folder / (table.database or "customer_data/profiles") / f"{table.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
