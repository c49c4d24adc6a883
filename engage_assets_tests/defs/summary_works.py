"""Two services with a few days of invented logs, and everything that summarises them."""

import json
from datetime import date
from functools import cached_property

import dagster as dg

from engage_assets.defs.summary_build import summary_definitions
from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.defs.summary_services import desk_of
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.home import Home
from engage_assets_tests.builders import instant
from engage_assets_tests.defs.archives import Alerts
from engage_assets_tests.defs.homes import digests

SHOP, PHARMACY = "theshop-brand", "theshop-pharmacy"
FIRST, SECOND, THIRD = date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 1)
LATER = date(2026, 11, 6)
"""A day on which October is final."""
VISIT = (
    ("commerce.session.start", {}),
    ("commerce.product.view", {}),
    ("commerce.search", {"query": "수분 크림", "resultCount": "3"}),
    ("commerce.search.result_click", {"query": "수분 크림", "productId": "p1"}),
    (
        "commerce.cart.add",
        {
            "productId": "p1",
            "productName": "세럼 1호",
            "sellerNm": "셀러 하나",
            "category": "beauty",
            "quantity": "2",
            "salePrice": "9900",
            "source": "search",
        },
    ),
    ("commerce.button.click", {"action": "quick_add", "menuName": "홈", "page": "/"}),
    ("client.routing", {"fromPath": "/", "toPath": "/p/1"}),
    ("commerce.purchase", {"totalAmount": "19800", "paymentMethod": "card"}),
)


def a_spec(zone="UTC", **changes):
    services = [{"service": name, "timeZone": zone} for name in (SHOP, PHARMACY)]
    return CommerceAnalytics.model_validate({"services": services, **changes})


class FixedClock:
    is_declared = True

    def __init__(self, now):
        self.time = now

    def now(self):
        return self.time


class Works:
    """A home, its spec, and Dagster around it."""

    def __init__(self, root, spec=None):
        self.home, self.spec = Home(root), spec or a_spec()
        self.clock, self.alerts = FixedClock(instant("2026-11-07 06:00")), Alerts()

    @cached_property
    def instance(self):
        return dg.DagsterInstance.ephemeral()

    def log(self, service, arrival, *visits, without=()):
        """Append visits, each (user, first instant), to the file of a UTC day; `without`: attributes and events."""
        path = self.home.logs / service / f"{arrival}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for user, at in visits:
                for number, (body, attributes) in enumerate(VISIT):
                    if body not in without:
                        place = {"userId": user, "sessionId": f"{user} {at}", "orderId": f"{user} {at}"}
                        kept = {name: text for name, text in attributes.items() if name not in without}
                        record = {
                            "timestamp": f"{at.replace(' ', 'T')}:{number:02}Z",
                            "body": body,
                            "attributes": {**place, **kept},
                            "resource": {"service.name": service},
                            "record_id": f"{user} {at} {number}",
                        }
                        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def fill(self):
        """Three days of both services, late events among them."""
        for service in (SHOP, PHARMACY):
            self.log(service, FIRST, ("u1", f"{FIRST} 09:00"), ("u2", f"{FIRST} 10:00"), ("u3", f"{FIRST} 23:59"))
            self.log(service, SECOND, ("u1", f"{SECOND} 09:00"), ("u4", f"{FIRST} 18:00"))
            self.log(service, THIRD, ("u5", f"{THIRD} 09:00"), ("u2", f"{SECOND} 11:00"), ("u6", f"{FIRST} 19:00"))
        return self

    def desk(self, service=SHOP) -> ServiceDesk:
        return desk_of(self.spec, self.home, service)

    @cached_property
    def definitions(self):
        resources = {"home": self.home, "clock": self.clock, "operations": self.alerts}
        return dg.Definitions.merge(
            summary_definitions(self.spec), dg.Definitions(resources=resources, executor=dg.in_process_executor)
        )

    def run(self, job, day, **options):
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=day.isoformat(),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
            **options,
        )

    def tick(self, schedule, at):
        """Partitions that a schedule asks for."""
        context = dg.build_schedule_context(
            scheduled_execution_time=at,
            repository_def=self.definitions.get_repository_def(),
            resources={"home": self.home},
        )
        requests = self.definitions.resolve_schedule_def(schedule).evaluate_tick(context).run_requests
        return [(request.run_key, request.partition_key) for request in requests or []]

    def made(self):
        """Digests of what was made, by path; what rests on when files came is left out."""
        return {
            path: digest
            for path, digest in digests(self.home.lake).items()
            if path.endswith(".parquet") and "/arrivals/" not in path
        }


def told(run):
    """Partitions that were materialized, by asset."""
    found = {}
    for event in run.get_asset_materialization_events():
        key = event.materialization.asset_key.to_user_string()
        found.setdefault(key, []).append(event.materialization.partition)
    return found


def failed_checks(run):
    return {check.check_name: check for check in run.get_asset_check_evaluations() if not check.passed}
