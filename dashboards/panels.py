"""Panels over one Athena query each, and what all dashboards share: variables, links, looks.

Grafana adds nothing up: every number shown is one that a query returned.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import athena, barchart, common, gauge, piechart, stat, table, text, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.athena import FormatOptions
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    FieldTextAlignment,
    VizOrientation,
)
from grafana_foundation_sdk.models.piechart import PieChartLabels
from grafana_foundation_sdk.models.text import TextMode

from dashboards.queries import latest
from engage_assets.domain.summary_spec import CommerceAnalytics

SOURCE_TYPE: Final = "grafana-athena-datasource"
SOURCE_NAME: Final = "Athena Commerce"
SOURCE_UID: Final = "athena-commerce"
TAG: Final = "engage-summaries"
ACTIONS: Final = ("smart_order_open", "quick_add", "view_detail")
CATEGORIES: Final = ("health", "beauty", "supplement")
"""What $action and $category offer until their queries have run."""
_SOURCE: Final = model.DataSourceRef(type_val=SOURCE_TYPE, uid="${datasource}")
_AS_RETURNED: Final = ["lastNotNull"]
_HEIGHT: Final = 9
P = TypeVar("P", stat.Panel, gauge.Panel, table.Panel, barchart.Panel, timeseries.Panel, piechart.Panel)
Units = Mapping[str, str]
"""Grafana's unit of a column, where it is not a plain number."""


def numbers(title: str, sql: str, width: int, *, units: Units | None = None, about: str = "") -> stat.Panel:
    """Each column of a one-row result as a big number with its name."""
    panel = (
        _shown(stat.Panel(), title, sql, width, about)
        .reduce_options(_one_row())
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .color_mode(BigValueColorMode.NONE)
        .orientation(VizOrientation.VERTICAL)
    )
    return _with_units(panel, units)


def health(title: str, sql: str, width: int, about: str) -> stat.Panel:
    """Numbers that should be 0: green at 0, red from 1 on."""
    steps = [model.Threshold(value=None, color="green"), model.Threshold(value=1, color="red")]
    thresholds = build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    return numbers(title, sql, width, about=about).thresholds(thresholds).color_mode(BigValueColorMode.BACKGROUND)


def dial(title: str, sql: str, width: int, about: str = "") -> gauge.Panel:
    """A percentage of 0 to 100."""
    panel = _shown(gauge.Panel(), title, sql, width, about).reduce_options(_one_row())
    return panel.unit("percent").min(0).max(100).decimals(2)


def rows(title: str, sql: str, width: int, *, units: Units | None = None, about: str = "") -> table.Panel:
    """The result as a table, in the order of the query."""
    panel = _shown(table.Panel(), title, sql, width, about).align(FieldTextAlignment.AUTO)
    return _with_units(panel, units)


def bars(title: str, sql: str, width: int, x: str, *, units: Units | None = None, about: str = "") -> barchart.Panel:
    """One group of bars per value of the text column `x`; columns with a unit have an axis on the right."""
    panel = _shown(barchart.Panel(), title, sql, width, about).x_field(x).x_tick_label_spacing(50).fill_opacity(80)
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [_set("unit", unit), _set("custom.axisPlacement", "right")])
    return panel


def lines(title: str, sql: str, width: int, *, unit: str = "short", about: str = "") -> timeseries.Panel:
    """A line per column over the column `time`."""
    return _shown(timeseries.Panel(), title, sql, width, about).unit(unit).line_width(2).fill_opacity(8)


def shares(title: str, sql: str, width: int, about: str = "") -> piechart.Panel:
    """A slice per row: its text column names it."""
    panel = _shown(piechart.Panel(), title, sql, width, about)
    return panel.reduce_options(common.ReduceDataOptions().values(True)).display_labels([PieChartLabels.NAME])


def words(title: str, markdown: str, height: int) -> text.Panel:
    """A text over the whole width."""
    return text.Panel().title(title).mode(TextMode.MARKDOWN).content(markdown).span(24).height(height)


def open_dashboard(title: str, uid: str, about: str, spec: CommerceAnalytics) -> build.Dashboard:
    """A dashboard with what all have: the data source, $service, and links to the others.

    Days come as midnight UTC: another zone would show the day before.
    """
    return (
        build.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG])
        .time("now-90d", "now")
        .timezone("utc")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(build.DashboardLink("Summaries").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True))
        .with_variable(choose_service([one.table_prefix for one in spec.services]))
        .with_variable(choose_source())
    )


def choose_service(prefixes: Sequence[str]) -> build.CustomVariable:
    """$service: the prefix of the service's tables."""
    return (
        build.CustomVariable("service")
        .label("Service")
        .values(",".join(prefixes))
        .options(_options(prefixes))
        .current(_options(prefixes)[0])
        .allow_custom_value(False)
    )


def choose_source() -> build.DatasourceVariable:
    """$datasource: so that an import works with a data source of any name."""
    current = model.VariableOption(selected=True, text=SOURCE_NAME, value=SOURCE_UID)
    return build.DatasourceVariable("datasource").label("Data source").type(SOURCE_TYPE).current(current)


def choose_value(name: str, label: str, of: str, examples: Sequence[str]) -> build.QueryVariable:
    """$action and the like: the values of column `name` in table `of`, the most frequent first."""
    query = _target(latest(of, name, order="rank_no")).build().to_json()
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(query)
        .options(_options(examples))
        .current(_options(examples)[0])
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(model.VariableSort.DISABLED)
    )


def add_row(dashboard: build.Dashboard, title: str, panels: Iterable[Builder[model.Panel]]) -> build.Dashboard:
    """A titled row and its panels, laid out from left to right; widths fill whole lines of 24."""
    dashboard = dashboard.with_row(build.Row(title))
    for panel in panels:
        dashboard = dashboard.with_panel(panel)
    return dashboard


def _shown(panel: P, title: str, sql: str, width: int, about: str) -> P:
    panel = panel.title(title).datasource(_SOURCE).with_target(_target(sql)).span(width).height(_HEIGHT)
    return panel.description(about) if about else panel


def _target(sql: str) -> athena.Dataquery:
    return athena.Dataquery().raw_sql(sql).format(FormatOptions.TABLE).datasource(_SOURCE).ref_id("A")


def _one_row() -> common.ReduceDataOptions:
    """All columns, those of text and dates too."""
    return common.ReduceDataOptions().calcs(_AS_RETURNED).fields("/.*/")


def _with_units(panel: P, units: Units | None) -> P:
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [_set("unit", unit)])
    return panel


def _set(what: str, value: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=what, value=value)


def _options(values: Sequence[str]) -> list[model.VariableOption]:
    return [model.VariableOption(selected=value == values[0], text=value, value=value) for value in values]
