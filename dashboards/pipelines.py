"""The pipeline comparison: behaviour and commerce side by side, what they are and how their last runs went."""

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import behaviour, commerce, panels, queries
from dashboards.freshness import clock
from engage_assets.domain.summary_spec import CommerceAnalytics, Family

UID: Final = "pipeline-comparison"
_TITLES: Final[Mapping[Family, str]] = {"behaviour": "User behaviour", "commerce": "Commerce"}
_PURPOSES: Final[Mapping[Family, str]] = {
    "behaviour": "User engagement, retention",
    "commerce": "Sales, merchandising",
}
_EVENTS: Final[Mapping[Family, str]] = {
    "behaviour": "all events; sessions start with `commerce.session.start`",
    "commerce": "`commerce.button.click`, `commerce.cart.add`, and others",
}
_UIDS: Final[Mapping[Family, str]] = {"behaviour": behaviour.UID, "commerce": commerce.UID}


def pipelines_dashboard(spec: CommerceAnalytics) -> Dashboard:
    """The dashboard `pipeline-comparison`."""
    about = "The two pipelines of one service: schedules, last runs, rows by table."
    dashboard = panels.open_dashboard("Pipeline comparison", UID, about, spec)
    panels.add_row(dashboard, "The pipelines", [panels.words("Compared", comparison(spec), 12)])
    missing = queries.missing_tables([*queries.family_tables("behaviour"), *queries.family_tables("commerce")])
    for family, title in _TITLES.items():
        _add_runs(dashboard, spec, family, title)
    about = "Tables that the catalogue should have and has not. While one is missing, the panels that count it fail."
    panels.add_row(
        dashboard, "Catalogue", [panels.rows("Tables missing", missing, 24, about=about).no_value("none is missing")]
    )
    return dashboard


def _add_runs(dashboard: Dashboard, spec: CommerceAnalytics, family: Family, title: str) -> None:
    tables = queries.family_tables(family)
    due = queries.due_after(spec, family)
    about = f"From {clock(due)} UTC on, the tables should be of the day before."
    runs = f"Of {len(tables)} tables, how many there are of each calculation date that the catalogue still shows."
    panels.add_row(
        dashboard,
        title,
        [
            panels.health("Days behind and empty tables", queries.days_behind(tables, due), 6, about),
            panels.bars(f"Runs of {title.lower()}", queries.runs_by_date(tables), 9, "calculation_date", about=runs),
            panels.rows("Last run and rows by table", queries.last_runs_sorted(tables), 9),
        ],
    )


def comparison(spec: CommerceAnalytics) -> str:
    """Both pipelines as the program file and the registry of tables say, as a table in Markdown."""
    families = tuple(_TITLES)
    lines = [
        ("", *(f"**{_TITLES[family]}**" for family in families)),
        ("---",) * (len(families) + 1),
        ("**Purpose**", *(_PURPOSES[family] for family in families)),
        ("**Events**", *(_EVENTS[family] for family in families)),
        ("**Tables**", *(", ".join(queries.family_tables(family)) for family in families)),
        ("**Windows**", *(_windows(spec, family) for family in families)),
        ("**Schedule**", *(f"daily {_starts(spec, family)} UTC, or when the day is over" for family in families)),
        ("**Time for one service**", *(f"up to {_minutes(spec, family)} min" for family in families)),
        ("**Names of tables**", *(f"`{_pattern(family)}`" for family in families)),
        ("**Owner**", *(_owner(spec, family) for family in families)),
        ("**Dashboard**", *(f"[{_UIDS[family]}](/d/{_UIDS[family]}?${{service:queryparam}})" for family in families)),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _windows(spec: CommerceAnalytics, family: Family) -> str:
    days = sorted({spec.window(table).days or 0 for table in queries.family_tables(family)} - {0})
    return f"{days[0]} to {days[-1]} days" + ("; whole months" if family == "behaviour" else "")


def _starts(spec: CommerceAnalytics, family: Family) -> str:
    run = spec.behaviour if family == "behaviour" else spec.commerce
    return f"{run.at:%H:%M}"


def _minutes(spec: CommerceAnalytics, family: Family) -> int:
    return int(queries.one_service(spec, family).total_seconds()) // 60


def _pattern(family: Family) -> str:
    table = queries.family_tables(family)[0]
    return queries.physical(table).replace("${service}", "{service}").replace(table, "{table}")


def _owner(spec: CommerceAnalytics, family: Family) -> str:
    return spec.behaviour.owner if family == "behaviour" else spec.commerce.owner
