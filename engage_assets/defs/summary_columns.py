"""What silver, atoms, quality and roll-ups hold, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engage_assets.summaries.tables import Column

_TEXT, _COUNT, _DATE, _TIME, _FLAG, _NUMBER = "VARCHAR", "BIGINT", "DATE", "TIMESTAMP", "BOOLEAN", "INTEGER"
_MONEY: Final = "DECIMAL(18, 2)"
_SERVICE: Final = Column("service", _TEXT, "The service.")
_DAY: Final = Column("date", _DATE, "Business date, in the service's time zone.")


def _texts(**columns: str) -> list[Column]:
    return [Column(name, _TEXT, words) for name, words in columns.items()]


def _counts(**columns: str) -> list[Column]:
    return [Column(name, _COUNT, words) for name, words in columns.items()]


@dataclass(frozen=True)
class Sheet:
    """What an asset of a service's days is."""

    grain: str
    words: str
    columns: Sequence[Column]
    made_of: str


SHEETS: Final[Mapping[str, Sheet]] = {
    "events": Sheet(
        "one logged event, each once",
        "Typed log events of a business date: names and fallbacks resolved, numbers guarded, duplicates left out. Final"
        " two days after the date, when no event of it can arrive any more.",
        (
            _SERVICE,
            *_texts(event_id="The record id, else a hash of the whole record."),
            Column("event_time", _TIME, "Instant of the event (UTC)."),
            Column("business_date", _DATE, "Its day in the service's time zone."),
            Column("business_hour", _NUMBER, "Its hour in the service's time zone."),
            *_texts(
                event="The event's name, as logged.",
                kind="What kind of event it is; null for all others, which count in sessions and users alone.",
                user_id="The user; null where none was logged.",
                session_id="The session; null where none was logged.",
                action="What a button does.",
                menu_name="Menu of the button.",
                page="Page of the button.",
                product_id="The product.",
                product_name="Its name, as logged.",
                category="Its category.",
                seller="Its seller.",
                source="Where it was put into the cart from.",
                search_term="In lower case, with single spaces; of a click on a result without a term the session's"
                " last search within 30 minutes before.",
            ),
            Column("is_term_attributed", _FLAG, "Whether the term came from the session's search."),
            Column("quantity", _NUMBER, "Pieces; null where absent or no number from 1 to 9999."),
            Column("price", _MONEY, "Price of a piece; null where absent or no amount."),
            Column("result_count", _NUMBER, "Results of the search; null where absent or no number."),
            *_texts(order_id="The order."),
            Column("amount", _MONEY, "Amount of the purchase; null where absent or no amount."),
            *_texts(
                payment_method="How it was paid.",
                from_path="Page left; numbers and uuids in it are {id}.",
                to_path="Page entered, likewise.",
            ),
            Column("invalid_values", _NUMBER, "Numbers of the event that were given and are none."),
            Column("is_quantity_invalid", _FLAG, "Whether a quantity was given that is none."),
            Column("is_price_invalid", _FLAG, "Whether a price was given that is none."),
            Column("is_result_count_invalid", _FLAG, "Whether a number of results was given that is none."),
            Column("is_amount_invalid", _FLAG, "Whether an amount was given that is none."),
            Column("days_late", _NUMBER, "Days from the event's UTC date to that of its arrival."),
        ),
        "logs",
    ),
    "session_day": Sheet(
        "one session with events on the day",
        "Atoms of sessions; tables put a session over midnight together.",
        (
            _SERVICE,
            *_texts(session_id="The session."),
            _DAY,
            Column("first_time", _TIME, "Its first event of the day."),
            Column("last_time", _TIME, "Its last event of the day."),
            Column("start_time", _TIME, "Its first session start of the day, else its first event."),
            Column("start_hour", _NUMBER, "Business hour of the start."),
            Column("first_hour", _NUMBER, "Business hour of the first event."),
            Column("has_session_start", _FLAG, "Whether a session start was logged."),
            *_counts(events="Events."),
            Column("event_types", "ARRAY(VARCHAR)", "Different names of events."),
            *_counts(event_type_count="Their number."),
            Column("has_view", _FLAG, "Whether a product was viewed."),
            Column("has_cart", _FLAG, "Whether something was put into a cart."),
            Column("has_purchase", _FLAG, "Whether something was purchased."),
            Column("users", "ARRAY(VARCHAR)", "Different users."),
            Column("cart_users", "ARRAY(VARCHAR)", "Different users that put something into a cart."),
            *_counts(user_count="Number of users.", cart_adds="Times that something was put into a cart."),
        ),
        "events",
    ),
    "user_day": Sheet(
        "one user of the day, and one row without user for the events that have none",
        "Atoms of users.",
        (
            _SERVICE,
            *_texts(user_id="The user; null: events without user."),
            _DAY,
            Column("first_time", _TIME, "First event of the day."),
            Column("last_time", _TIME, "Last event of the day."),
            *_counts(
                events="Events.",
                sessions="Different sessions.",
                product_views="Product views.",
                cart_adds="Cart adds.",
                purchases="Purchase events, repeated ones too.",
            ),
        ),
        "events",
    ),
    "purchase_ledger": Sheet(
        "the day's first event of an order, and every purchase without an order id",
        "Atoms of purchases.",
        (
            _SERVICE,
            _DAY,
            *_texts(order_id="The order; null where none was logged."),
            Column("event_time", _TIME, "Instant of the purchase (UTC)."),
            *_texts(session_id="The session.", user_id="The user."),
            Column("amount", _MONEY, "Amount; null where absent or no amount."),
            *_texts(payment_method="How it was paid.", event_id="The event."),
            Column("is_amount_invalid", _FLAG, "Whether an amount was given that is none."),
        ),
        "events",
    ),
    "quality": Sheet(
        "one figure about the day's logs",
        "Data quality: how many events have the attributes that figures need, invalid numbers, duplicates, late events,"
        " records set aside.",
        (
            _SERVICE,
            _DAY,
            *_texts(
                measure="coverage, invalid, duplicates, late, set_aside or missing.",
                name="kind.attribute, number, days late, or reason.",
            ),
            *_counts(events="Out of how many.", found="How many."),
            Column("share", "DOUBLE", "Found by events."),
        ),
        "events",
    ),
}
"""Assets that are made of a business date, in the order in which they are made."""

ROLL_UP_COLUMNS: Final[Mapping[str, Sequence[Column]]] = {
    "month_user": (
        _SERVICE,
        Column("month", _DATE, "First day of the month."),
        *_texts(user_id="The user; null: events without user."),
        Column("first_date", _DATE, "First business date of the month with an event."),
        Column("last_date", _DATE, "Last one."),
        *_counts(active_days="Days with an event.", events="Events."),
    ),
    "month_order": (
        _SERVICE,
        Column("month", _DATE, "First day of the month."),
        *_texts(order_id="The order."),
        Column("first_date", _DATE, "Business date of its first purchase event in the month."),
    ),
    "month_total": (
        _SERVICE,
        Column("month", _DATE, "First day of the month."),
        *_counts(
            active_users="Different users with an event.", sessions="Sessions that start in it.", events="Events."
        ),
        Column("first_date", _DATE, "First business date with an event."),
        Column("last_date", _DATE, "Last one."),
        *_counts(days="Days with an event."),
    ),
}
