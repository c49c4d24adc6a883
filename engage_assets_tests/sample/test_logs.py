import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.sample.log_records import REAL
from engage_assets.sample.logs import Plan, write_logs

BRAND, PHARMACY = "theshop-brand", "theshop-pharmacy"
PLAN = Plan(7, date(2026, 2, 27), date(2026, 3, 5), events=21_000)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def lines(folder: Path, service: str) -> list[tuple[date, dict]]:
    return [
        (date.fromisoformat(path.stem), json.loads(line))
        for path in sorted((folder / "logs" / service).glob("*.ndjson"))
        for line in path.read_text("utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warehouse")
    write_logs(folder, Plan(7, PLAN.first, PLAN.last, PLAN.events, form="ndjson", quirks={PHARMACY: REAL}))
    return folder


def test_same_seed_same_bytes(tmp_path):
    first, last = date(2026, 2, 27), date(2026, 2, 28)
    made = [write_logs(tmp_path / name, Plan(7, first, last, events=3_000)) for name in ("one", "two")]
    write_logs(tmp_path / "other", Plan(8, first, last, events=3_000))
    assert made[0] == made[1]
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert files(tmp_path / "one").keys() == files(tmp_path / "other").keys()
    assert files(tmp_path / "one") != files(tmp_path / "other")


def test_both_forms_say_the_same(tmp_path, logs):
    write_logs(tmp_path, PLAN)
    frame = pl.read_parquet(tmp_path / "logs" / BRAND / "2026-03-01.parquet")
    text = [record for day, record in lines(logs, BRAND) if day == date(2026, 3, 1)]
    assert frame["record_id"].to_list() == [record["record_id"] for record in text]
    assert frame["timestamp"].to_list() == [datetime.fromisoformat(record["timestamp"]) for record in text]
    assert [dict(attributes) for attributes in frame["attributes"]] == [record["attributes"] for record in text]


def test_a_believable_shop(logs):
    told = lines(logs, BRAND)
    bodies = Counter(record["body"] for _, record in told)
    views, carts, purchases = (bodies[f"commerce.{name}"] for name in ("product.view", "cart.add", "purchase"))
    assert 0.9 < sum(1 for _ in (*told, *lines(logs, PHARMACY))) / PLAN.events < 1.1
    assert views > 3 * carts > 6 * purchases > 0
    hours = Counter((datetime.fromisoformat(record["timestamp"]).hour + 9) % 24 for _, record in told)
    assert hours[21] > 4 * hours[4]
    sessions, users = {}, Counter()
    for _, record in told:
        sessions[record["attributes"]["sessionId"]] = record["attributes"].get("userId")
    users.update(sessions.values())
    assert 0.01 < users.pop(None) / len(sessions) < 0.06
    assert max(users.values()) > 3
    assert any("가" <= letter <= "힣" for _, record in told for letter in record["attributes"].get("productName", ""))


def test_late_records_and_duplicates(logs):
    told = lines(logs, BRAND)
    late = Counter(
        (day - datetime.fromisoformat(record["timestamp"]).astimezone(UTC).date()).days for day, record in told
    )
    assert late.keys() == {0, 1, 2, 3}
    assert late[1] > late[2] > late[3] > 0
    ids = Counter(record["record_id"] for _, record in told)
    assert max(ids.values()) == 2
    orders = Counter(record["attributes"].get("orderId") for _, record in told if record["body"] == "commerce.purchase")
    assert max(orders.values()) > 1


def test_the_quirks_of_real_logs(logs):
    told = [record for _, record in lines(logs, PHARMACY)]
    by_body: dict[str, set[str]] = {}
    for record in told:
        by_body.setdefault(record["body"], set()).update(record["attributes"])
    assert by_body.keys() == {
        *("commerce.button.click", "commerce.cart.add", "commerce.cart.view", "commerce.checkout.purchase"),
        *("commerce.product.view", "commerce.search", "commerce.search.result_click", "Routing in client side"),
    }
    everywhere = {"userKey", "sessionId", "platform", "appVersion"}
    assert by_body["commerce.checkout.purchase"] == everywhere | {"orderId"}
    assert by_body["Routing in client side"] == everywhere | {"path"}
    assert by_body["commerce.search.result_click"] == everywhere | {"goodsCd", "ctgnm"}
    assert {"goodsCd", "payload_productName", "sellerId", "price", "quantity"} < by_body["commerce.cart.add"]


def test_a_plan_without_days_is_refused(tmp_path):
    with pytest.raises(EngageError, match="give at least one day"):
        write_logs(tmp_path, Plan(7, date(2026, 3, 2), date(2026, 3, 1), events=100))
