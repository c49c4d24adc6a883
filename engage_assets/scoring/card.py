"""A model card as one page that opens offline, and its charts as pictures."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engage_assets.scoring import card_words as words
from engage_assets.scoring.card_pictures import PICTURE_WIDTH, pictures
from engage_assets.scoring.model_card import ModelCard
from engage_assets.scoring.slices import FEWEST

_CHART_WIDTH: Final = 440


def render_card(card: ModelCard) -> str:
    """The card as a self-contained HTML page; the same card gives the same text."""
    return (
        _templates()
        .get_template("card.html.j2")
        .render(
            card=card,
            verdict=words.verdict_words(card),
            compared=words.compared_words(card),
            comparison=words.comparison(card),
            comparison_words=words.comparison_words(card),
            metrics=words.metric_rows(card),
            pictures=pictures(card.curves, card.importance, _CHART_WIDTH),
            fewest=FEWEST,
            origin=words.origin(card),
        )
    )


def card_pictures(card: ModelCard) -> dict[str, str]:
    """SVG files with their own size and background: roc, precision_recall, calibration, lift and importance.

    A picture that has nothing to show is left out.
    """
    template = _templates().get_template("picture.svg.j2")
    drawn = pictures(card.curves, card.importance, PICTURE_WIDTH)
    caption = f"{card.model_id}, version {card.version}"
    return {name: template.render(picture=picture, caption=caption) for name, picture in drawn.items()}


def _templates() -> Environment:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    templates = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    templates.filters |= {"thousands": words.thousands, "percent": words.percent, "decimals": words.decimals}
    return templates
