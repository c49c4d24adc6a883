"""What is known of the assets that tell of a batch's events before they run; the assets are in event_report_assets."""

from typing import Final

from engage_assets.defs.sheets import Key, Sheet
from engage_assets.domain import events
from engage_assets.domain.program import Program
from engage_assets.domain.tables import DECISIONS

FORECASTS: Final = events.ATTENDANCE_FORECASTS.name
CARD: Final = "attendance_forecast_card"
REPORTS: Final = "event_reports"
OPS: Final = {FORECASTS: "forecast_attendance", CARD: "forecast_attendance", REPORTS: "event_reports"}
"""Ops by their assets, without the program's key; each is configured with a night."""


def event_report_sheets(program: Program) -> dict[str, Sheet]:
    """The sheets of forecasts, of the card of their model, and of reports; none of programs about something else."""
    if program.source_table != events.SOURCE.table.name:
        return {}

    def key(name: str) -> Key:
        return (program.key, name)

    table = events.ATTENDANCE_FORECASTS
    sheets = [
        Sheet(
            key(FORECASTS),
            "How many are expected to come to the batch's events, from the opening of their registration to their"
            " start, and how many came; one file per night.",
            table.grain,
            table.columns,
            [key(DECISIONS.name)],
            kinds=frozenset({"polars", "parquet", "scikitlearn"}),
        ),
        Sheet(
            key(CARD),
            "The card of the model that forecasts attendance, which is made anew for each Monday: curves, calibration,"
            " importance of features, limits.",
            "one page per version",
            (),
            [key(DECISIONS.name)],
            kinds=frozenset({"html"}),
        ),
        Sheet(
            key(REPORTS),
            "A report of each event of the batch: one HTML page that opens offline.",
            "one page per event and night",
            (),
            [key(FORECASTS), key(DECISIONS.name)],
            kinds=frozenset({"html"}),
        ),
    ]
    return {sheet.key[1]: sheet for sheet in sheets}
