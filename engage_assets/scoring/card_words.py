"""The words of a card: its verdict, what a metric means, and figures written for people."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from engage_assets.scoring.model_card import ModelCard

UNMEASURED: Final = "–"
"""Stands where a value is None."""

_EXPLORATION: Final = "exploration_"
_METRICS: Final = {
    "roc_auc": ("ROC AUC", "share of pairs, one answered and one not, that are ranked rightly; 0.5 is chance"),
    "average_precision": ("Average precision", "mean share answered going down the ranking; the base rate is chance"),
    "log_loss": ("Log loss", "mean −ln of the probability given to what came; less is better"),
    "brier": ("Brier score", "mean squared distance of probability and outcome; less is better"),
    "calibration_error": (
        "Calibration error",
        "mean distance of probability and share answered over ten equally large groups; less is better",
    ),
    "base_rate": ("Base rate", "share of the rows answered"),
    "rows": ("Rows", "later than those that it was fitted on"),
}
_LABELS: Final = {
    "answered": "whether a person who was asked answers",
    "reviewed": "whether a customer answers without being asked",
    "liked": "whether a person who answers likes it",
    "liked_unasked": "whether a customer who answers without being asked likes it",
    "interested": "whether a person who was asked clicks or registers",
    "interested_unasked": "whether a customer registers without being asked",
    "attended": "whether a person who was asked comes",
    "attended_unasked": "whether a customer comes without being asked",
    "came": "whether a person with a seat comes",
}
_RIVALS: Final = {"champion": "Version in use", "baseline": "Baseline", "constant": "A constant, the base rate"}


@dataclass(frozen=True)
class MetricRow:
    """One line of the table of metrics, its values as text."""

    label: str
    note: str
    model: str
    baseline: str


@dataclass(frozen=True)
class Comparison:
    """One line of the gate's table: a model, its metric, and the judged version's gain over it, as text."""

    name: str
    value: str
    gain: str


def verdict_words(card: ModelCard) -> str:
    """The verdict in a few words."""
    if card.verdict is None:
        return "There is no gate before its use"
    return "It passed the gate" if card.verdict.deploy else "It did not pass the gate"


def compared_words(card: ModelCard) -> str:
    """With what it was compared."""
    if card.verdict is None:
        return "It is made anew whenever it is needed, and used as it is; the figures below say how far to trust it."
    if card.verdict.against is None:
        return "No version was in use to compare with; it was compared with the baseline and a constant."
    return f"It was compared with version {card.verdict.against}, which was in use, and with the baseline."


def comparison_words(card: ModelCard) -> str:
    """On what the gate compared."""
    if card.verdict is None:
        return ""
    figures = card.verdict.figures
    rows, customers, answered = (thousands(figures.get(name)) for name in ("rows", "customers", "answered"))
    drawn = ", drawn at random," if card.verdict.population == "explored" else ","
    return (
        f"{_metric_words(card.verdict.metric)[0]} on {rows} rows ({answered} answered) of {customers} customers{drawn}"
        " later than all that either version was fitted on; gains with the interval of 95% of resamples"
    )


def comparison(card: ModelCard) -> list[Comparison]:
    """The gate's figures; none where it did not come to a comparison."""
    if card.verdict is None or "challenger" not in card.verdict.figures:
        return []
    figures, metric = card.verdict.figures, card.verdict.metric
    return [
        Comparison("This version", written(metric, figures["challenger"]), ""),
        *(
            Comparison(name, written(metric, figures[rival]), _gain([figures[f"{rival}_gain{e}"] for e in _ENDS]))
            for rival, name in _RIVALS.items()
            if rival in figures
        ),
    ]


_ENDS: Final = ("", "_low", "_high")


def _gain(ends: list[float]) -> str:
    gain, low, high = ends
    return f"{gain:+.4f} ({low:+.4f} to {high:+.4f})".replace("-", "−")


def origin(card: ModelCard) -> list[tuple[str, str]]:
    """Names and values of what the version was made of."""
    first, last = card.window
    settings = ", ".join(f"{name} {value:g}" for name, value in sorted(card.hyperparameters.items()))
    return [
        ("Kind", card.kind.replace("-", " ")),
        ("Settings of the program file", settings or "none, so the kind's own"),
        ("Foretells", _LABELS.get(card.label, card.label)),
        ("Trained as of", _day(card.as_of)),
        ("Examples", f"{thousands(card.examples)}, from {_day(first)} to {_day(last)}"),
        ("Fitted up to", f"{_day(card.fitting_end)}; judged on later ones"),
        ("Hash of the examples", card.data_hash),
        ("Code", card.code_version),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in sorted(card.libraries.items()))),
    ]


def metric_rows(card: ModelCard) -> list[MetricRow]:
    """Every metric that the model or the baseline has: known ones first, those of exploration last."""
    return [
        MetricRow(*_metric_words(name), written(name, card.metrics.get(name)), written(name, card.baseline.get(name)))
        for name in sorted({*card.metrics, *card.baseline}, key=_place)
    ]


def written(metric: str, value: float | None) -> str:
    """A metric's value: rows as a whole number, base rates in percent, the others with four decimals."""
    if metric.endswith("rows"):
        return thousands(value)
    return percent(value) if metric.endswith("base_rate") else decimals(value)


def thousands(value: float | None) -> str:
    """1,234,567."""
    return UNMEASURED if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """12.3%."""
    return UNMEASURED if share is None else f"{100 * share:.1f}%"


def decimals(value: float | None) -> str:
    """0.1234."""
    return UNMEASURED if value is None else f"{value:.4f}"


def _place(name: str) -> tuple[bool, int, str]:
    plain, known = name.removeprefix(_EXPLORATION), list(_METRICS)
    return name != plain, known.index(plain) if plain in known else len(known), plain


def _metric_words(name: str) -> tuple[str, str]:
    plain = name.removeprefix(_EXPLORATION)
    label, note = _METRICS.get(plain, (plain.replace("_", " ").capitalize(), ""))
    return (label, note) if plain == name else (f"{label}, rows drawn at random", "")


def _day(of: date) -> str:
    return of.strftime("%Y-%m-%d")
