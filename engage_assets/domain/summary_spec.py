"""Commerce and behaviour summaries, as `commerce-analytics.yaml` declares them: services, names, windows, schedules."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from engage_assets.domain.duration import Duration
from engage_assets.domain.slots import instant_of, known_zones
from engage_assets.domain.spec import Spec

Family = Literal["commerce", "behaviour"]
LONGEST_TABLE_NAME: Final = 255
"""What a catalogue allows (AWS Glue)."""
LATE_DAYS: Final = 2
"""An event that arrives more days after its own UTC date is set aside."""


class Window(NamedTuple):
    """How many days a table looks at, and how many of its rows are kept; None: not limited."""

    days: int | None
    top: int | None


DOCUMENTED: Final[Mapping[Family, Mapping[str, Window]]] = {
    "commerce": {
        "button_interaction": Window(7, 50),
        "product_ranking": Window(30, 100),
        "search_analytics": Window(7, 200),
        "category_performance": Window(30, 30),
        "hourly_traffic": Window(7, None),
        "purchase_analytics": Window(90, None),
        "navigation_flow": Window(7, 100),
        "cart_source": Window(30, None),
        "period_totals": Window(None, None),
    },
    "behaviour": {
        "mau": Window(None, None),
        "dau": Window(90, None),
        "retention": Window(90, None),
        "conversion": Window(90, None),
        "user_cohort": Window(90, None),
        "session_metrics": Window(90, None),
        "event_distribution": Window(30, None),
    },
}
"""All tables, with the windows and top N of the document."""

LogName = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[LogName, ...], Field(min_length=1)]


class EventNames(Spec):
    """Names under which each kind of event is logged."""

    session_start: Names = ("commerce.session.start",)
    product_view: Names = ("commerce.product.view",)
    cart_add: Names = ("commerce.cart.add",)
    purchase: Names = ("commerce.purchase", "commerce.checkout.purchase")
    search: Names = ("commerce.search",)
    result_click: Names = ("commerce.search.result_click",)
    button_click: Names = ("commerce.button.click",)
    page_change: Names = ("client.routing", "Routing in client side", "commerce.page.view", "commerce.navigation")

    @model_validator(mode="after")
    def _mean_one_kind_each(self) -> Self:
        names = [name for _, name in self.kinds]
        for name in names:
            _require_plain(name)
        _require_once("event name", names)
        return self

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of every event that has a kind."""
        return tuple((kind, name) for kind in type(self).model_fields for name in getattr(self, kind))


class AttributeNames(Spec):
    """Attributes that hold each value; the first filled one in this order counts."""

    user: Names = ("userKey", "userId", "user.id")
    session: Names = ("sessionId", "session.id")
    search_term: Names = ("query", "payload_query", "searchTerm", "searchQuery")
    price: Names = ("salePrice", "price")
    category: Names = ("category", "ctgnm")
    seller: Names = ("sellerNm", "sellerId")
    product_id: Names = ("productId", "payload_productId", "goodsCd")
    product_name: Names = ("productName", "payload_productName")
    order_id: Names = ("orderId",)
    action: Names = ("action",)
    menu_name: Names = ("menuName",)
    page: Names = ("page",)
    source: Names = ("source",)
    quantity: Names = ("quantity",)
    result_count: Names = ("resultCount",)
    total_amount: Names = ("totalAmount",)
    payment_method: Names = ("paymentMethod",)
    from_path: Names = ("fromPath",)
    to_path: Names = ("toPath",)
    path: Names = ("path",)

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        for field in type(self).model_fields:
            _require_once(f"attribute of {field}", getattr(self, field))
        spelled: dict[str, str] = {}
        for name in self.all:
            _require_plain(name)
            other = spelled.setdefault(name.casefold(), name)
            if other != name:
                raise ValueError(f"attributes {other!r} and {name!r} differ in case alone: keep the one that is logged")
        return self

    @property
    def all(self) -> tuple[str, ...]:
        """Every attribute that is read, once."""
        return tuple(dict.fromkeys(name for field in type(self).model_fields for name in getattr(self, field)))


class Service(Spec):
    """A service whose logs are summarised."""

    service: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="service.name, and its folder of logs.")
    time_zone: str = Field("UTC", description="IANA zone of the service's days and hours.")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in known_zones():
            raise ValueError("not an IANA time zone such as Asia/Seoul")
        return value

    @property
    def table_prefix(self) -> str:
        """The service's part of table names."""
        return self.service.replace("-", "_")


class TableSpec(Spec):
    """What a table changes of its documented window and top N."""

    window_days: int | None = Field(None, ge=1, le=366)
    top: int | None = Field(None, ge=1, le=10_000, description="Rows that are kept, where the table has a top N.")


class Batch(Spec):
    """Tables that are made side by side, once the batch before is done."""

    tables: tuple[str, ...] = Field(min_length=1)
    deadline: Duration = Field(description="How long it may take for one service.")


class Behaviour(Spec):
    """The behaviour tables' run."""

    owner: str = Field("product", min_length=1)
    at: time = Field(time(2), description="UTC; later where the service's day is not over by then.")
    deadline: Duration = timedelta(minutes=15)


class Commerce(Spec):
    """The commerce tables' run."""

    owner: str = Field("business", min_length=1)
    at: time = Field(time(4), description="UTC; later where the service's day is not over by then.")
    batches: tuple[Batch, ...] = (
        Batch(tables=("button_interaction", "hourly_traffic"), deadline=timedelta(minutes=5)),
        Batch(tables=("product_ranking", "category_performance"), deadline=timedelta(minutes=6)),
        Batch(
            tables=("search_analytics", "purchase_analytics", "navigation_flow", "cart_source", "period_totals"),
            deadline=timedelta(minutes=7),
        ),
    )

    @field_validator("batches")
    @classmethod
    def _hold_every_table_once(cls, value: tuple[Batch, ...]) -> tuple[Batch, ...]:
        found = [table for batch in value for table in batch.tables]
        _require_once("table", found)
        for table in found:
            _require_known(table, DOCUMENTED["commerce"])
        if missing := [table for table in DOCUMENTED["commerce"] if table not in found]:
            raise ValueError(f"no batch makes {', '.join(missing)}; add it to one")
        return value


class CommerceAnalytics(Spec):
    """The section `commerceAnalytics`."""

    services: tuple[Service, ...] = Field(min_length=1)
    events: EventNames = Field(default_factory=EventNames)
    attributes: AttributeNames = Field(default_factory=AttributeNames)
    tables: dict[str, TableSpec] = Field(default_factory=dict, description="By table, what differs from the document.")
    behaviour: Behaviour = Behaviour()
    commerce: Commerce = Commerce()
    max_concurrent_queries: int = Field(25, ge=1, le=1_000, description="Over all services of a home.")

    @field_validator("tables")
    @classmethod
    def _can_be_changed(cls, value: dict[str, TableSpec]) -> dict[str, TableSpec]:
        known = {**DOCUMENTED["commerce"], **DOCUMENTED["behaviour"]}
        for table, spec in value.items():
            _require_known(table, known)
            if spec.window_days is not None and known[table].days is None:
                raise ValueError(f"{table} has no window of days; remove windowDays")
            if spec.top is not None and known[table].top is None:
                raise ValueError(f"{table} keeps all its rows; remove top")
        return value

    @field_validator("services")
    @classmethod
    def _have_their_own_tables(cls, value: tuple[Service, ...]) -> tuple[Service, ...]:
        _require_once("service", [one.service for one in value])
        require_own_tables(value)
        return value

    def service(self, name: str) -> Service:
        """The service called `name`. Raises KeyError with the known ones."""
        found = {one.service: one for one in self.services}
        if name not in found:
            raise KeyError(f"no service is called {name!r} (there are: {', '.join(sorted(found))})")
        return found[name]

    def window(self, table: str) -> Window:
        """Days and top N of a table, the file's laid over the document's."""
        days, top = {**DOCUMENTED["commerce"], **DOCUMENTED["behaviour"]}[table]
        own = self.tables.get(table, TableSpec())
        return Window(own.window_days or days, own.top or top)


def table_names(service: Service, family: Family) -> dict[str, str]:
    """The catalogue's name of each table of a service and family."""
    infix = "commerce_" if family == "commerce" else ""
    return {table: f"{service.table_prefix}_{infix}{table}_summary" for table in DOCUMENTED[family]}


def require_own_tables(services: Iterable[Service]) -> None:
    """Raise ValueError where two services would write one table, or a name is longer than a catalogue allows."""
    owners: dict[str, str] = {}
    for one in services:
        for name in (name for family in DOCUMENTED for name in table_names(one, family).values()):
            other = owners.setdefault(name, one.service)
            if other != one.service:
                raise ValueError(f"services {other} and {one.service} would both write {name}; rename one of them")
            if len(name) > LONGEST_TABLE_NAME:
                raise ValueError(f"the table {name} has over {LONGEST_TABLE_NAME} letters; shorten {one.service}")


def day_begins(day: date, zone: str) -> datetime:
    """The first UTC instant at which the clocks of `zone` show `day`."""
    return instant_of(datetime.combine(day, time()), zone)


def day_is_over(day: date, zone: str) -> datetime:
    """The first UTC instant at which `day` is over in `zone`."""
    return day_begins(day + timedelta(days=1), zone)


def run_instant(day: date, zone: str, at: time) -> datetime:
    """When the tables of `day` are made: at `at` UTC of the next day, later where `day` is not over by then."""
    return max(datetime.combine(day + timedelta(days=1), at), day_is_over(day, zone))


def last_complete_day(now: datetime, zone: str, at: time) -> date:
    """The latest business date whose tables are due at `now` (UTC)."""
    day = now.date() + timedelta(days=1)
    while run_instant(day, zone, at) > now:
        day -= timedelta(days=1)
    return day


def _require_known(table: str, known: Mapping[str, Window]) -> None:
    if table not in known:
        raise ValueError(f"no table is called {table!r} (there are: {', '.join(known)})")


def _require_once(what: str, names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{what} {', '.join(twice)} stands more than once; keep one")


def _require_plain(name: str) -> None:
    """Names go into queries: quoted there, and without anything that quotes."""
    if not name.isprintable() or set(name) & set("'\"\\") or name != name.strip():
        raise ValueError(f"{name!r} has quotes, backslashes, control characters or blanks at its ends; remove them")
