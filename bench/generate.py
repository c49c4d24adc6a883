"""Write a seeded world for the benchmark of the reviews program: one day's deliveries and their history.

    .venv/bin/python bench/generate.py [FOLDER] [--deliveries 500000|5000000] [--scale 0.1]

FOLDER (default `.bench`) gets

    scale-1/world/…                      tables that all sizes share
    scale-1/deliveries-500000/           an ENGAGE_HOME: warehouse/{crm,ecommerce}/…, lake/ledger/send_events/…

The shared tables are hard-linked into each home; a second call with another `--deliveries` writes only that table.
At full scale: 3 M customers, 200 K products, 6 M orders, 10 M reviews, 5 M sends planned in the 30 days before the
batch (and some before those, and some after it). `--scale` shrinks everything, `--deliveries` still names the full
size. The last line printed is the home.

Shares follow the reviews document: of the deliveries roughly 10 % are refused by trust, 20 % by eligibility and 30 %
by the cap, about 40 % pass. Ids are scattered, activity is skewed, the same seed gives the same rows.
"""

import argparse
import hashlib
import json
import os
import shutil
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

SEED = 7
PARTITION = date(2026, 11, 20)
DAY = datetime.combine(PARTITION, datetime.min.time())
INSTANT = DAY + timedelta(days=1, hours=2)
EPOCH = datetime.combine(date(1970, 1, 1), datetime.min.time())
PROGRAM = "product-reviews"
CUSTOMERS, PRODUCTS, ORDERS, REVIEWS = 3_000_000, 200_000, 6_000_000, 10_000_000
SENDS_BY_CUSTOMER = {3: 0.49, 2: 0.05, 1: 0.02}
SENDS_A_DAY = 170_000
ASKED_SHARE, ANSWERED_SHARE = 0.05, 0.08
SECOND = 1_000_000
ROW_GROUP = 250_000
ZONES = {
    "US": ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"],
    "UK": ["Europe/London"],
    "DE": ["Europe/Berlin"],
    "FR": ["Europe/Paris"],
    "JP": ["Asia/Tokyo"],
    "IN": ["Asia/Kolkata"],
}
MARKETS = list(ZONES)
MARKET_SHARES = [0.36, 0.19, 0.18, 0.14, 0.128, 0.002]
"""IN is not among the program's marketplaces."""
LOCALES = ["en-US", "en-GB", "de-DE", "fr-FR", "ja-JP", "en-IN"]
SLOT_HOURS_UTC = np.array([15, 10, 9, 9, 25, 5])
"""About 10:00 on the clocks of each marketplace (eastern US), in hours after midnight UTC of the batch's day."""
GIVEN_NAMES = ["Alex", "Bruno", "Chiara", "Dana", "Elif", "Femi", "Grace", "Hana", "Ines", "Jun", "Kofi", "Lena"]

Ints = npt.NDArray[np.int32]
Random = np.random.Generator


def stream(what: str) -> Random:
    """The random numbers of one table; tables do not depend on each other's order."""
    return np.random.default_rng([SEED, *what.encode()])


def ids(prefix: str, numbers: npt.NDArray[np.integer], width: int) -> pl.Series:
    """Keys such as c0012345."""
    text = np.empty((numbers.size, width + 1), dtype=np.uint8)
    text[:, 0] = ord(prefix)
    rest = numbers.astype(np.int32 if width < 10 else np.int64, copy=True)
    for place in range(width, 0, -1):
        text[:, place] = 48 + rest % 10
        rest //= 10
    return strings(text)


def strings(text: npt.NDArray[np.uint8]) -> pl.Series:
    """A matrix of characters as a column, one string a row."""
    rows, width = text.shape
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int64) * width)
    return pl.from_arrow(pa.LargeStringArray.from_buffers(rows, offsets, pa.py_buffer(text.reshape(-1))))


def hexadecimal(random: Random, rows: int) -> pl.Series:
    """32 random hex digits a row."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    return strings(digits[random.integers(0, 16, (rows, 32), dtype=np.uint8)])


def instants(microseconds: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series(microseconds).cast(pl.Datetime("us"))


def micros(instant: datetime) -> int:
    return int((instant - EPOCH).total_seconds()) * SECOND


def between(random: Random, rows: int, start: datetime, end: datetime) -> npt.NDArray[np.int64]:
    """Instants on full seconds in [start, end)."""
    return micros(start) + random.integers(0, int((end - start).total_seconds()), rows) * SECOND


def skewed(random: Random, rows: int, of: int, exponent: float) -> Ints:
    """Numbers below `of`, few of them often, scattered over the range (7919 is prime)."""
    return ((random.random(rows) ** exponent * of).astype(np.int64) * 7919 % of).astype(np.int32)


def some(random: Random, rows: int, share: float) -> npt.NDArray[np.bool_]:
    return random.random(rows) < share


def pick(choices: list[str], indexes: npt.NDArray[np.integer]) -> pl.Series:
    return pl.Series(choices, dtype=pl.String).gather(indexes)


def without(column: pl.Series, at: npt.NDArray[np.bool_], value: object = None) -> pl.Series:
    """`column` with `value` where `at` holds."""
    return pl.select(pl.when(pl.Series(at)).then(pl.lit(value, dtype=column.dtype)).otherwise(column)).to_series()


class World:
    """What the tables have in common, as numbers; `scale` 1 is the full size."""

    def __init__(self, scale: float) -> None:
        self.customers, self.products = int(CUSTOMERS * scale), int(PRODUCTS * scale)
        self.orders, self.reviews = int(ORDERS * scale), int(REVIEWS * scale)
        self.older_sends = int(3 * SENDS_A_DAY * scale)
        random = stream("orders")
        self.order_customer = skewed(random, self.orders, self.customers, 1.3)
        first = np.arange(self.orders, dtype=np.int32)
        second = first[some(random, self.orders, 0.15)]
        self.item_order = np.concatenate([first, second])
        self.item_product = skewed(random, self.item_order.size, self.products, 1.4)
        self.item_customer = self.order_customer[self.item_order]
        self.market = stream("markets").choice(len(MARKETS), self.customers, p=MARKET_SHARES).astype(np.int8)

    def sample_items(self, what: str, share: float) -> Ints:
        """Indexes of a random share of the order items, ascending."""
        return np.flatnonzero(some(stream(what), self.item_order.size, share)).astype(np.int32)


def save(path: Path, **columns: pl.Series) -> None:
    frame = pl.DataFrame(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(waiting, row_group_size=ROW_GROUP)
    waiting.replace(path)
    name = "/".join(path.parts[-3:])
    print(f"{name:<45} {frame.height:>11,} rows {path.stat().st_size / 2**20:>8.1f} MiB", flush=True)


def customers(world: World, folder: Path) -> None:
    random, rows = stream("customers"), world.customers
    number = np.arange(rows, dtype=np.int32)
    key = ids("c", number, 7)
    zones = [zone for market in MARKETS for zone in ZONES[market]]
    first_zone = np.cumsum([0] + [len(ZONES[market]) for market in MARKETS])[:-1]
    spread = np.where(world.market == 0, random.integers(0, len(ZONES["US"]), rows), 0)
    save(
        folder / "warehouse/crm/customers.parquet",
        customer_id=key,
        marketplace=without(pick(MARKETS, world.market), some(random, rows, 0.0003)),
        time_zone=without(pick(zones, first_zone[world.market] + spread), some(random, rows, 0.02)),
        locale=pick(LOCALES, world.market),
        name=pick(GIVEN_NAMES, random.integers(0, len(GIVEN_NAMES), rows)),
        email=without(key + "@example.invalid", some(random, rows, 0.04)),
        is_test=without(pl.Series(some(random, rows, 0.001)), some(random, rows, 0.01)),
    )


def customer_trust(world: World, folder: Path) -> None:
    """One version for most customers, two for some, none for a few; a later version may lie after the batch."""
    random = stream("customer_trust")
    everyone = np.arange(world.customers, dtype=np.int32)
    first = everyone[~some(random, everyone.size, 0.003)]
    again = first[some(random, first.size, 0.1)]
    number = np.concatenate([first, again])
    known = np.concatenate(
        [
            between(random, first.size, DAY - timedelta(days=700), DAY - timedelta(days=100)),
            between(random, again.size, DAY - timedelta(days=100), DAY + timedelta(days=5)),
        ]
    )
    refused = random.random(number.size)
    trust = np.where(refused < 0.01, random.random(number.size) * 0.5, 0.5 + random.random(number.size) * 0.5)
    fraud = np.where(refused > 0.99, 0.5 + random.random(number.size) * 0.5, random.random(number.size) * 0.5)
    status = np.where(some(random, number.size, 0.012), 1 + random.integers(0, 2, number.size), 0)
    trust_score = without(pl.Series(trust.round(3)), some(random, number.size, 0.003))
    save(
        folder / "warehouse/crm/customer_trust.parquet",
        customer_id=ids("c", number, 7),
        known_at=instants(known),
        account_status=pick(["active", "suspended", "closed"], status),
        trust_score=without(trust_score, some(random, number.size, 0.001), float("nan")),
        fraud_score=pl.Series(fraud.round(3)),
    )


def opt_outs(world: World, folder: Path) -> None:
    """8 % of the customers; some of another program or channel only, some taken back, some too late."""
    random = stream("opt_outs")
    number = np.flatnonzero(some(random, world.customers, 0.08)).astype(np.int32)
    rows = number.size
    at = between(random, rows, DAY - timedelta(days=700), DAY - timedelta(days=1))
    at = np.where(some(random, rows, 0.01), micros(INSTANT) + 3600 * SECOND, at)
    revoked = at + random.integers(1, 60, rows) * 86_400 * SECOND
    save(
        folder / "warehouse/crm/opt_outs.parquet",
        customer_id=ids("c", number, 7),
        at=without(instants(at), some(random, rows, 0.001)),
        program=without(
            pick([PROGRAM, "music-feedback"], some(random, rows, 0.2).astype(np.int8)), some(random, rows, 0.5)
        ),
        channel=without(pick(["email", "push"], some(random, rows, 0.1).astype(np.int8)), some(random, rows, 0.6)),
        revoked_at=without(instants(revoked), ~some(random, rows, 0.05)),
    )


def products(world: World, folder: Path) -> None:
    random, rows = stream("products"), world.products
    number = np.arange(rows, dtype=np.int32)
    key = ids("p", number, 6)
    category = pick([f"category {index:02d}" for index in range(40)], random.integers(0, 40, rows))
    reviewable = pl.Series(~some(random, rows, 0.04))
    save(
        folder / "warehouse/ecommerce/products.parquet",
        product_id=key,
        name="Product " + key,
        category=category,
        price=pl.Series(random.lognormal(3, 1, rows).round(2)),
        is_reviewable=without(reviewable, some(random, rows, 0.002)),
    )


def orders(world: World, folder: Path) -> None:
    """Orders of two weeks, their items, and returns of 6 % of the items."""
    random = stream("order facts")
    ordered = np.sort(between(random, world.orders, DAY - timedelta(days=15), DAY - timedelta(days=1)))
    number = np.arange(world.orders, dtype=np.int32)
    status = np.where(some(random, world.orders, 0.005), 1 + random.integers(0, 2, world.orders), 0)
    customer = without(ids("c", world.order_customer, 7), some(random, world.orders, 0.0005))
    save(
        folder / "warehouse/ecommerce/orders.parquet",
        order_id=ids("o", number, 8),
        customer_id=customer,
        ordered_at=instants(ordered),
        status=pick(["COMPLETED", "CANCELLED", "PENDING"], status),
    )
    listed = np.flatnonzero(~some(random, world.item_order.size, 0.002))
    listed = listed[np.argsort(world.item_order[listed], kind="stable")]
    save(
        folder / "warehouse/ecommerce/order_items.parquet",
        order_id=ids("o", world.item_order[listed], 8),
        product_id=ids("p", world.item_product[listed], 6),
        quantity=pl.Series(random.integers(1, 4, listed.size)),
        unit_price=pl.Series(random.lognormal(3, 1, listed.size).round(2)),
    )
    returned = world.sample_items("returns", 0.06)
    at = between(random, returned.size, DAY - timedelta(days=5), DAY + timedelta(days=1))
    late = some(random, returned.size, 0.05)
    save(
        folder / "warehouse/ecommerce/returns.parquet",
        order_id=ids("o", world.item_order[returned], 8),
        product_id=ids("p", world.item_product[returned], 6),
        returned_at=without(
            instants(np.where(late, at + 10 * 86_400 * SECOND, at)), some(random, returned.size, 0.001)
        ),
    )


def reviews(world: World, folder: Path) -> None:
    """Of the items ordered 6 % are reviewed already; the others are of earlier years."""
    random, rows = stream("reviews"), world.reviews
    answered = world.sample_items("answered", ANSWERED_SHARE)
    older = rows - answered.size
    customer = np.concatenate([world.item_customer[answered], skewed(random, older, world.customers, 1.3)])
    product = np.concatenate([world.item_product[answered], skewed(random, older, world.products, 1.4)])
    at = between(random, rows, DAY - timedelta(days=700), DAY + timedelta(days=2))
    order = np.argsort(at, kind="stable")
    save(
        folder / "warehouse/ecommerce/reviews.parquet",
        customer_id=ids("c", customer[order], 7),
        product_id=ids("p", product[order], 6),
        reviewed_at=without(instants(at[order]), some(random, rows, 0.0001)),
        review_id=ids("r", np.arange(rows, dtype=np.int32), 9),
        rating=pl.Series(random.choice(5, rows, p=[0.11, 0.03, 0.08, 0.2, 0.58]) + 1),
    )


def sends(world: World, folder: Path) -> None:
    """The ledger's mirror: one file a day with what was planned after that day's batch, and how some of it ended."""
    random = stream("sends")
    drawn = random.random(world.customers)
    counts = np.zeros(world.customers, dtype=np.int8)
    for count, limit in zip(SENDS_BY_CUSTOMER, np.cumsum(list(SENDS_BY_CUSTOMER.values())), strict=True):
        counts[(drawn < limit) & (counts == 0)] = count
    asked = world.sample_items("asked", ASKED_SHARE)
    customer = np.repeat(np.arange(world.customers, dtype=np.int32), counts)
    product = skewed(random, customer.size, world.products, 1.4)
    # A second channel for the same subject: the cap counts it once.
    twice = some(random, customer.size, 0.01) & (np.roll(customer, 1) == customer)
    product = np.where(twice, np.roll(product, 1), product)
    older = world.older_sends
    customer = np.concatenate([customer, world.item_customer[asked], skewed(random, older, world.customers, 1.3)])
    product = np.concatenate([product, world.item_product[asked], skewed(random, older, world.products, 1.4)])
    channel = np.concatenate([twice.astype(np.int8), np.zeros(asked.size + older, dtype=np.int8)])
    # Days before the partition: 1 to 30 lie in the window, 31 to 33 before it, 0 is this batch's own plan.
    rows = customer.size
    back = random.integers(1, 31, rows).astype(np.int8)
    back[rows - older :] = random.integers(31, 34, older)
    back[some(random, rows, 0.01)] = 0
    for days in range(33, -1, -1):
        write_day(
            stream(f"sends {days}"), world, folder, days, np.flatnonzero(back == days), customer, product, channel
        )


def write_day(
    random: Random, world: World, folder: Path, days: int, rows: Ints, customer: Ints, product: Ints, channel: Ints
) -> None:
    """Sends planned by the batch of the day `days` before the partition, in the mirror file of the next day."""
    partition = PARTITION - timedelta(days=days)
    midnight = micros(datetime.combine(partition, datetime.min.time())) + 86_400 * SECOND
    batch = midnight + 2 * 3600 * SECOND
    who, market, count = customer[rows], world.market[customer[rows]], rows.size
    other = some(random, count, 0.02).astype(np.int8)
    program = pick([PROGRAM, "music-feedback"], other)
    code = pl.Series([PROGRAM + ":email", "music-feedback:email"]).gather(other)
    slot = midnight + SLOT_HOURS_UTC[market] * 3600 * SECOND
    planned = pl.DataFrame(
        {
            "send_id": hexadecimal(random, count),
            "program": program,
            "campaign_id": code + f":{partition}:" + pick(MARKETS, market),
            "customer_id": ids("c", who, 7),
            "subject_id": ids("p", product[rows], 6),
            "channel": pick(["email", "in-app"], channel[rows]),
            "slot_at": instants(slot),
            "cap_scope": program,
            "is_solicitation": pl.Series(np.ones(count, dtype=bool)),
            "state": pick(["planned"], np.zeros(count, dtype=np.int8)),
            "at": instants(batch + random.integers(300, 3600, count) * SECOND),
            "reason": pl.Series([None], dtype=pl.String).new_from_index(0, count),
        }
    )
    ended = np.flatnonzero(some(random, count, 0.03))
    how = random.choice(3, ended.size, p=[0.7, 0.15, 0.15])
    closed = planned[ended].with_columns(
        state=pick(["failed", "skipped", "held_out"], how),
        at=instants(slot[ended] + random.integers(1, 600, ended.size) * SECOND),
        reason=pick(["bounced", "SEND_WINDOW_MISSED", "holdout"], how),
    )
    events = pl.concat([planned, closed]).sort("at", "send_id", "state")
    save(folder / f"lake/ledger/send_events/{partition + timedelta(days=1)}.parquet", **events.to_dict(as_series=True))


def deliveries(world: World, path: Path, rows: int) -> None:
    """Deliveries of one day, with the defects that a warehouse has."""
    random = stream(f"deliveries {path.parts[-4]}")
    item = random.choice(world.item_order.size, rows, replace=False).astype(np.int32)
    again = np.flatnonzero(some(random, rows, 0.01))
    item[again] = item[random.integers(0, rows, again.size)]
    customer = world.item_customer[item]
    others = some(random, rows, 0.01)
    customer = np.where(others, skewed(random, rows, world.customers, 1.3), customer)
    unknown = some(random, rows, 0.001)
    customer = np.where(unknown, world.customers + random.integers(0, 1000, rows), customer).astype(np.int32)
    order = np.where(some(random, rows, 0.005), world.orders + 1 + item, world.item_order[item]).astype(np.int32)
    at = between(random, rows, DAY, DAY + timedelta(days=1))
    arrived = at + random.integers(0, 7200, rows) * SECOND
    at = np.where(some(random, rows, 0.0003), micros(INSTANT) + 36_000 * SECOND, at)
    at = np.where(some(random, rows, 0.0002), 0, at)
    status = np.where(some(random, rows, 0.01), 1 + random.integers(0, 2, rows), 0)
    value = random.lognormal(3, 1, rows).round(2)
    for share, wrong in ((0.0003, -1.0), (0.0002, np.inf), (0.0002, np.nan)):
        value[some(random, rows, share)] = wrong
    keys = {
        "order_id": ids("o", order, 8),
        "customer_id": ids("c", customer, 7),
        "product_id": ids("p", world.item_product[item], 6),
    }
    for name, blank in (("order_id", None), ("customer_id", " "), ("customer_id", None), ("product_id", "")):
        keys[name] = without(keys[name], some(random, rows, 0.0003), blank)
    save(
        path,
        delivery_id=ids("d", random.permutation(rows).astype(np.int32), 8),
        **keys,
        delivery_date=pl.Series([PARTITION]).new_from_index(0, rows),
        status=without(pick(["COMPLETED", "RETURNED_TO_SENDER", "IN_TRANSIT"], status), some(random, rows, 0.0001)),
        delivered_at=without(instants(at), some(random, rows, 0.005)),
        order_value=without(pl.Series(value), some(random, rows, 0.002)),
        arrived_at=without(instants(arrived), some(random, rows, 0.002)),
    )


def shared(world: World, folder: Path) -> None:
    """The tables of all sizes, made once for a state of this script: its mark is written last."""
    mark = folder / "made_by.json"
    made_by = json.dumps({"seed": SEED, "generate.py": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()})
    if mark.is_file() and mark.read_text() == made_by:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for table in (customers, customer_trust, opt_outs, products, orders, reviews, sends):
        table(world, folder)
    mark.write_text(made_by)


def link(world: Path, home: Path) -> None:
    """Give `home` the shared tables without copying them."""
    for file in sorted(world.rglob("*.parquet")):
        place = home / file.relative_to(world)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.hardlink_to(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".bench"))
    parser.add_argument("--deliveries", type=int, choices=(500_000, 5_000_000), default=500_000)
    parser.add_argument("--scale", type=float, default=1.0, help="0.02 to 1; shrinks every table")
    args = parser.parse_args()
    if not 0.02 <= args.scale <= 1:
        parser.error(f"--scale {args.scale}: give a number from 0.02 to 1")
    began = time.perf_counter()
    base = args.folder / f"scale-{args.scale:g}"
    home = base / f"deliveries-{args.deliveries}"
    world = World(args.scale)
    shared(world, base / "world")
    link(base / "world", home)
    deliveries(world, home / "warehouse/ecommerce/deliveries.parquet", int(args.deliveries * args.scale))
    print(f"{time.perf_counter() - began:.0f} s")
    print(home)


if __name__ == "__main__":
    main()
