"""A model card as Markdown with its pictures inside, for pages that cannot hold HTML."""

import base64
import re
from collections.abc import Iterable, Sequence

from engage_assets.scoring import card_words as words
from engage_assets.scoring.card import card_pictures
from engage_assets.scoring.card_pictures import PICTURE_WIDTH, pictures
from engage_assets.scoring.model_card import ModelCard


def card_markdown(card: ModelCard) -> str:
    """The whole card; pictures are data URIs, each followed by its words. The same card gives the same text."""
    return "\n\n".join(
        part
        for part in (
            f"**{words.verdict_words(card)}.** {_plain(words.compared_words(card))}",
            _list(card.verdict.reasons if card.verdict else ()),
            _comparison(card),
            _metrics(card),
            *_pictures(card),
            _features(card),
            _slices(card),
            _list(card.limits),
            _list(f"{name}: {value}" for name, value in words.origin(card)),
        )
        if part
    )


def _comparison(card: ModelCard) -> str:
    rows = [(one.name, one.value, one.gain) for one in words.comparison(card)]
    table = _table(("Model", "Metric", "Gain over it"), rows)
    return f"{_plain(words.comparison_words(card))}:\n\n{table}" if table else ""


def _metrics(card: ModelCard) -> str:
    rows = [(row.label, row.model, row.baseline) for row in words.metric_rows(card)]
    return _table(("Metric", "This version", "Baseline"), rows)


def _pictures(card: ModelCard) -> list[str]:
    told = pictures(card.curves, card.importance, PICTURE_WIDTH)
    return [
        f"![{_plain(told[name].title)}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})\n\n"
        f"{_plain(told[name].words)}"
        for name, svg in card_pictures(card).items()
    ]


def _features(card: ModelCard) -> str:
    return _table(
        ("Feature", "Type", "What it is", "Nothing known"),
        [(one.name, one.type, one.description, words.percent(one.missing)) for one in card.features],
    )


def _slices(card: ModelCard) -> str:
    return _table(
        ("Marketplace", "Rows", "Answered", "ROC AUC", "Calibration error", "By chance", "Note"),
        [
            (
                one.name,
                words.thousands(one.rows),
                words.percent(one.base_rate),
                words.decimals(one.auc),
                words.decimals(one.calibration_error),
                words.decimals(one.calibration_by_chance),
                one.note,
            )
            for one in card.slices
        ],
    )


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["--"] * len(head), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """On one line, with every sign that Markdown or HTML reads made harmless."""
    return re.sub(r"([\\`*_{}\[\]<>|#&])", r"\\\1", " ".join(text.split()))
