"""The card of the model that forecasts attendance, in the form of the other models' cards."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg

from engage_assets.defs.describe import picture
from engage_assets.defs.event_attendees import Learned
from engage_assets.defs.event_report_sheets import CARD
from engage_assets.domain.program import Program
from engage_assets.events.attending import DESCRIPTIONS
from engage_assets.lake import Lake, replacing
from engage_assets.scoring.card import card_pictures, render_card
from engage_assets.scoring.card_markdown import card_markdown
from engage_assets.scoring.model_card import ModelCard, card_of

_SEED: Final = 0
_LIMITS: Final = (
    "It says who of those with a seat comes, not who registers, nor whom a reminder moves to come.",
    "It learned from registrations through other systems too, of which neither channel nor line is known.",
    "What the people of one event share, weather or speaker, is left to the interval of a forecast.",
    "Its figures are of the later fifth of past events; forecast_held_rate and forecast_brier say what became of it.",
)


def card_of_forecast(learned: Learned, declared: datetime | None) -> ModelCard | None:
    """What the card tells; None where there is no model. `declared`: what a demonstration's clock shows."""
    if learned.model is None or learned.judged is None:
        return None
    card = card_of(
        learned.model,
        None,
        learned.judged,
        descriptions=DESCRIPTIONS,
        hyperparameters={},
        seed=_SEED,
        declared_clock=declared,
    )
    return replace(card, label="came", limits=_LIMITS)


def write_card(lake: Lake, program: Program, learned: Learned | None, declared: datetime | None) -> Mapping[str, Any]:
    """Write the page of a version that has none yet; what the UI shows of it, nothing where nothing was written."""
    path = card_path(lake, program, learned) if learned else None
    card = card_of_forecast(learned, declared) if learned and path and not path.is_file() else None
    if card is None or path is None:
        return {}
    with replacing(path) as aside:
        aside.write_text(render_card(card), encoding="utf-8")
    return {
        "page": dg.MetadataValue.path(str(path)),
        "version": card.version,
        "card": dg.MetadataValue.md(card_markdown(card)),
        **{name: picture(name, svg) for name, svg in card_pictures(card).items()},
    }


def card_path(lake: Lake, program: Program, learned: Learned) -> Path | None:
    """Where the page of the model lies; None: there is no model."""
    return lake.path((program.key, CARD), learned.model.version, ".html") if learned.model else None
