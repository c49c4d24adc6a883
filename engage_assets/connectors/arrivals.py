"""Late records: which batch takes a row, as an expression that every connector adds to its query.

A record that arrives after its day's batch is taken by the next one (docs/decisions.md, 19).
"""

from datetime import date, datetime, timedelta
from typing import cast

from sqlglot import exp

from engage_assets.connectors import sql
from engage_assets.domain.cadence import FIRST_DAY


def arrival_window(
    day: exp.Expression, arrival: exp.Expression, *, partition: date, late_days: int, instant: datetime, step: timedelta
) -> exp.Expression:
    """Which rows belong to the batch of `partition`, by the day they bear and the instant at which they arrived.

    Its own day's rows that had arrived; rows of up to `late_days` earlier days, and rows without a
    plausible day, that arrived since the previous batch. A day that lay in the future of the batch in
    whose window the row arrived was refused there and is not read again.
    """
    since = exp.and_(arrival > sql.instant_literal(instant - step), arrival <= sql.instant_literal(instant))
    # The batch that took an arrival a runs at the next batch time at or after a; its date bounds plausible days.
    clock = exp.cast(exp.Literal.string(f"{instant:%H:%M:%S}"), exp.DataType.Type.INTERVAL)
    moment = exp.cast(exp.Literal.string("1 microsecond"), exp.DataType.Type.INTERVAL)
    batch_date = exp.cast(exp.paren(arrival - clock - moment), exp.DataType.Type.DATE) + exp.Literal.number(1)
    own = exp.and_(
        day.eq(sql.date_literal(partition)),
        exp.or_(arrival.is_(exp.null()), exp.and_(arrival <= sql.instant_literal(instant), day <= batch_date)),
    )
    late = exp.and_(
        day >= sql.date_literal(max(partition - timedelta(days=late_days), FIRST_DAY)),
        day < sql.date_literal(partition),
        since,
    )
    implausible = exp.or_(
        day.is_(exp.null()), day < sql.date_literal(FIRST_DAY), day > sql.date_literal(instant.date())
    )
    return cast("exp.Expression", exp.or_(own, late, exp.and_(implausible, since)))
