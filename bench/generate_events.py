"""Write a seeded world for the benchmark of the events program: one Monday's profiles, four events, and their history.

    .venv/bin/python bench/generate_events.py [FOLDER] [--profiles 750000] [--scale 0.1]

FOLDER (default `.bench`) gets an ENGAGE_HOME, `scale-1/events-<profiles>/`, whose path is the last line printed; a
second call finds it there. Every profile meets all four events, so that 750,000 profiles are 3 M raw rows, 2.5 M of
them of different customer and event; beside them 5 M sends and 5 M past registrations for 2,000 earlier events.

Of the pairs about a seventh have interests near enough, most of them live where the events invite, and four in ten
customers have no invitation left this month.
"""

import argparse
import hashlib
import json
import random as plain_random
import shutil
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import generate as shop
import interests
import numpy as np
import polars as pl
from generate import (
    MARKETS,
    SECOND,
    Ints,
    between,
    hexadecimal,
    ids,
    instants,
    micros,
    pick,
    save,
    skewed,
    some,
    stream,
)

PROGRAM = "event-invitations"
MONDAY = date(2026, 11, 23)
INSTANT = datetime(2026, 11, 23, 2)  # noqa: DTZ001 - UTC without a zone attached
PROFILES, UNIQUE = 750_000, 5 / 6
EVENTS, EARLIER_EVENTS = 4, 2_000
SENDS, REGISTRATIONS = 5_000_000, 5_000_000
MARKET_SHARES = [0.36, 0.19, 0.18, 0.12, 0.10, 0.05]
CAPPED, REGISTERED = 0.40, 1_500
"""Share of customers who were invited twice within the month; people who registered elsewhere for each event."""
ROLES = ["engineer", "manager", "analyst", "designer", "student", "founder", "support", "sales"]


class World:
    """What the tables have in common, as numbers; `scale` 1 is the full size."""

    def __init__(self, profiles: int, scale: float) -> None:
        self.scale = scale
        self.profiles = self.of(profiles)
        self.customers = int(self.profiles * UNIQUE)
        self.market = stream("events").choice(len(MARKETS), self.customers, p=MARKET_SHARES).astype(np.int8)

    def of(self, full: int) -> int:
        """A number of the full size at this scale."""
        return max(10, int(full * self.scale))


def topics_of(event: int) -> list[str]:
    """Two neighbours in the tree: who names one of them is at 0.7."""
    return [f"topic-{event}-0", f"topic-{event}-1"]


def catalogue(folder: Path) -> None:
    """Four events 8 to 11 days after the Monday, earlier ones of the two years before, and the topics' tree."""
    rows = [
        {
            "event_id": f"e{place}",
            "known_at": INSTANT - timedelta(days=20),
            "name": f"Event {place}",
            "topics": topics_of(place),
            "starts_at": datetime.combine(MONDAY + timedelta(days=8 + place), datetime.min.time())
            + timedelta(hours=17),
            "time_zone": "Europe/Berlin",
            "duration_minutes": 60,
            "event_type": "webinar",
            "speakers": [f"Speaker {place}"],
            "capacity": 10_000,
        }
        for place in range(EVENTS)
    ]
    rows += [
        rows[place % EVENTS]
        | {
            "event_id": f"old{place}",
            "known_at": INSTANT - timedelta(days=760 - place // 3),
            "starts_at": INSTANT - timedelta(days=740 - place // 3),
            "topics": topics_of(place % 10),
            "speakers": [f"Speaker {place % 40}"],
        }
        for place in range(EARLIER_EVENTS)
    ]
    (folder / "warehouse/events").mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).with_columns(pl.col("known_at", "starts_at").cast(pl.Datetime("us"))).write_parquet(
        folder / "warehouse/events/events.parquet"
    )
    pl.DataFrame(interests.tree()).write_parquet(folder / "warehouse/events/topics.parquet")


def profiles(world: World, folder: Path) -> None:
    """A profile a customer, and an older one for each fifth; 50,000 different lists of interests."""
    random, drawn = stream("profiles"), plain_random.Random(7)
    forms = interests.forms()
    asked = [topic for event in range(EVENTS) for topic in topics_of(event)]
    lists = [
        sorted({*drawn.sample(forms, drawn.randint(0, 7)), *drawn.sample(asked, drawn.choice((0, 0, 1, 2)))})
        for _ in range(50_000)
    ]
    again = random.choice(world.customers, world.profiles - world.customers, replace=False).astype(np.int32)
    number = np.concatenate([np.arange(world.customers, dtype=np.int32), again])
    order = random.permutation(number.size)
    age = np.concatenate([random.integers(1, 200, world.customers), random.integers(200, 400, again.size)])
    number, age, rows = number[order], age[order], number.size
    save(
        folder / "warehouse/customer_data/profiles/customer_profiles.parquet",
        customer_id=ids("c", number, 7),
        interest_tags=pl.Series(lists, dtype=pl.List(pl.String)).gather(random.integers(0, len(lists), rows)),
        event_attendance_history=pl.Series(random.geometric(0.4, rows)),
        engagement_score=pl.Series(random.random(rows).round(3)),
        geographic_region=pick(MARKETS, world.market[number]),
        job_role=pick(ROLES, random.integers(0, len(ROLES), rows)),
        updated_at=instants(micros(INSTANT) - age * 86_400 * SECOND + random.integers(0, 3600, rows) * SECOND),
    )


def past_registrations(world: World, folder: Path) -> None:
    """Of earlier events, and some for the four that are invited for."""
    random, rows = stream("past registrations"), world.of(REGISTRATIONS)
    now = min(REGISTERED, world.customers // 20) * EVENTS
    older = rows - now
    customer = np.concatenate([skewed(random, older, world.customers, 1.3), random.choice(world.customers, now)])
    events = [f"old{place}" for place in range(EARLIER_EVENTS)] + [f"e{place}" for place in range(EVENTS)]
    event = np.concatenate(
        [skewed(random, older, EARLIER_EVENTS, 1.2), EARLIER_EVENTS + np.arange(now, dtype=np.int32) % EVENTS]
    )
    back = np.concatenate([between(random, older, INSTANT - timedelta(days=700), INSTANT - timedelta(days=20)),
                           between(random, now, INSTANT - timedelta(days=10), INSTANT)])  # fmt: skip
    came = some(random, rows, 0.6)
    order = np.argsort(back, kind="stable")
    save(
        folder / "warehouse/events/past_registrations.parquet",
        customer_id=ids("c", customer[order].astype(np.int32), 7),
        event_id=pick(events, event[order]),
        registered_at=instants(back[order]),
        attended=pl.Series(came),
        watch_minutes=pl.Series(np.where(came, random.integers(5, 60, rows), 0).astype(np.float64)),
    )


def sends(world: World, folder: Path) -> None:
    """The ledger's mirror: invitations of the Mondays before; who has none left was invited twice within 30 days."""
    random, rows = stream("event sends"), world.of(SENDS)
    capped = np.repeat(np.flatnonzero(some(random, world.customers, CAPPED)).astype(np.int32), 2)[:rows]
    older = rows - capped.size
    customer = np.concatenate([capped, skewed(random, older, world.customers, 1.2)])
    event = skewed(random, rows, EARLIER_EVENTS, 1.2)
    weeks = np.concatenate([random.integers(1, 5, capped.size), random.integers(5, 53, older)])
    for back in range(1, 53):
        chosen = np.flatnonzero(weeks == back)
        plan(stream(f"event sends {back}"), world, folder, back, customer[chosen], event[chosen])


def plan(random: np.random.Generator, world: World, folder: Path, back: int, customer: Ints, event: Ints) -> None:
    """Sends planned by the batch so many weeks before, in the mirror file of its Tuesday."""
    monday, count = MONDAY - timedelta(weeks=back), customer.size
    midnight, market = micros(datetime.combine(monday, datetime.min.time())), world.market[customer]
    same = np.zeros(count, dtype=np.int8)
    planned = pl.DataFrame(
        {
            "send_id": hexadecimal(random, count),
            "program": pick([PROGRAM], same),
            "campaign_id": pick([f"{PROGRAM}:email:{monday}:{code}:old" for code in MARKETS], market),
            "customer_id": ids("c", customer, 7),
            "subject_id": pick([f"old{place}" for place in range(EARLIER_EVENTS)], event),
            "channel": pick(["email"], same),
            "slot_at": instants(midnight + shop.SLOT_HOURS_UTC[market] * 3600 * SECOND),
            "cap_scope": pick([PROGRAM], same),
            "is_solicitation": pl.Series(np.ones(count, dtype=bool)),
            "state": pick(["planned"], same),
            "at": instants(midnight + (2 * 3600 + random.integers(300, 3600, count)) * SECOND),
            "reason": pl.Series([None], dtype=pl.String).new_from_index(0, count),
            "kind": pl.Series([None], dtype=pl.String).new_from_index(0, count),
            "sequence": pl.Series([None], dtype=pl.Int64).new_from_index(0, count),
        }
    )
    ended = np.flatnonzero(some(random, count, 0.02))
    closed = planned[ended].with_columns(
        state=pick(["failed"], np.zeros(ended.size, dtype=np.int8)), at=pl.col("slot_at") + pl.duration(minutes=5),
        reason=pl.lit("bounced"),
    )  # fmt: skip
    events = pl.concat([planned, closed]).sort("at", "send_id", "state")
    name = f"lake/ledger/send_events/{monday + timedelta(days=1)}.parquet"
    save(folder / name, **events.to_dict(as_series=True))


def made_by() -> str:
    """The state of the scripts that make the world."""
    scripts = (Path(__file__), Path(shop.__file__), Path(interests.__file__))
    return json.dumps({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in scripts})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".bench"))
    parser.add_argument("--profiles", type=int, default=PROFILES, help="each meets four events")
    parser.add_argument("--scale", type=float, default=1.0, help="0.02 to 1; shrinks every table")
    args = parser.parse_args()
    home = args.folder / f"scale-{args.scale:g}" / f"events-{args.profiles}"
    mark = home / "made_by.json"
    if not (mark.is_file() and mark.read_text() == made_by()):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        began = time.perf_counter()
        world = World(args.profiles, args.scale)
        catalogue(home)
        for table in (shop.customers, shop.customer_trust, shop.opt_outs):
            table(world, home)  # type: ignore[arg-type]
        for own in (profiles, past_registrations, sends):
            own(world, home)
        mark.write_text(made_by())
        print(f"{time.perf_counter() - began:.0f} s")
    print(home)


if __name__ == "__main__":
    main()
