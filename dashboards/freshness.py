"""The row that says how old the figures are: the monitoring queries of the document, for every table of a family."""

from datetime import timedelta

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import panels, queries
from engage_assets.domain.summary_spec import CommerceAnalytics, Family


def add_freshness(dashboard: Dashboard, spec: CommerceAnalytics, family: Family) -> None:
    """Days behind, empty tables, and each table's last run and row count."""
    tables = queries.family_tables(family)
    due = queries.due_after(spec, family)
    about = (
        f"From {clock(due)} UTC on, the tables should be of the day before. A table may be empty where nothing of its"
        " kind was logged: the daily checks name what is missing."
    )
    panels.add_row(
        dashboard,
        "Freshness",
        [
            panels.health("Days behind and empty tables", queries.days_behind(tables, due), 8, about),
            panels.rows("Last run and rows", queries.last_runs_sorted(tables), 16),
        ],
    )


def clock(due: timedelta) -> str:
    """A time of day as HH:MM."""
    hours, minutes = divmod(int(due.total_seconds()) // 60, 60)
    return f"{hours:02d}:{minutes:02d}"
