import base64
import dataclasses
import re
from datetime import date, datetime
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest

from engage_assets.scoring.card import card_pictures, render_card
from engage_assets.scoring.card_charts import ticks
from engage_assets.scoring.card_markdown import card_markdown
from engage_assets.scoring.curves import auc, curves
from engage_assets.scoring.evaluation import Verdict
from engage_assets.scoring.gate import judge, judged_rows
from engage_assets.scoring.importance import Importance
from engage_assets.scoring.limits import limits_of
from engage_assets.scoring.model_card import CardFeature, ModelCard, card_of
from engage_assets.scoring.slices import slices
from engage_assets.scoring.trained_model import inputs, probabilities
from engage_assets_tests.scoring.synthetic import learnable_examples, trained

RANDOM = np.random.default_rng(8)
PROBABILITIES = np.round(RANDOM.beta(1.5, 12, 4000), 6)
LABELS = RANDOM.random(4000) < PROBABILITIES
SLICES = slices(LABELS, PROBABILITIES, ["DE"] * 2500 + ["US"] * 1400 + ["JP"] * 100, seed=1)
VERDICT = Verdict(
    deploy=False,
    metric="roc_auc",
    reasons=("not surely better than the champion: its lower bound is −0.0010",),
    figures={
        "rows": 4000, "customers": 3120, "answered": 443, "challenger": 0.7123, "champion": 0.7021, "baseline": 0.69,
        "champion_gain": 0.0102, "champion_gain_low": -0.001, "champion_gain_high": 0.02,
        "baseline_gain": 0.0223, "baseline_gain_low": 0.01, "baseline_gain_high": 0.03,
    },
    against="0b77d1a09c55",
)  # fmt: skip
CARD = ModelCard(
    model_id="review-propensity-v2",
    version="3f9a12c47be0",
    kind="gradient-boosted-trees",
    label="answered",
    as_of=date(2026, 11, 22),
    window=(datetime.fromisoformat("2026-05-26T02:00"), datetime.fromisoformat("2026-11-07T02:00")),
    fitting_end=datetime.fromisoformat("2026-10-11T02:00"),
    examples=48_213,
    data_hash="a41c0ffee1230987",
    code_version="0.1.0+12ab34cd56ef",
    libraries={"scikit-learn": "1.8.0", "numpy": "2.4.0"},
    hyperparameters={"learningRate": 0.1, "maxLeaves": 15},
    features=(
        CardFeature("engagement_score", "number", "Orders and reviews of 90 days <b>", 0.12),
        CardFeature("category", "text", "The product's category | shelf", 0.0),
        CardFeature("trust_score", "number", "Latest trust score", None),
    ),
    metrics={"roc_auc": 0.71234, "log_loss": 0.31, "calibration_error": 0.011, "base_rate": 0.1134, "rows": 4000,
             "exploration_roc_auc": 0.6988},
    baseline={"roc_auc": 0.69, "log_loss": 0.32, "calibration_error": 0.009, "base_rate": 0.1134, "rows": 4000},
    verdict=VERDICT,
    curves=curves(LABELS, PROBABILITIES),
    importance=(
        Importance("engagement_score", 0.0912, 0.0031),
        Importance("category", 0.0123, 0.002),
        Importance("trust_score", -0.0004, 0.0009),
    ),
    slices=SLICES,
    limits=limits_of(label="answered", explored_rows=41, slices=SLICES),
    declared_clock=None,
)  # fmt: skip
BARE = dataclasses.replace(
    CARD,
    verdict=Verdict(deploy=True, metric="roc_auc", reasons=("a person said so",), figures={}),
    hyperparameters={},
    importance=(),
    slices=(),
    curves=curves(LABELS[:0], PROBABILITIES[:0]),
    declared_clock=datetime.fromisoformat("2026-11-22T05:00"),
)


def test_a_model_without_a_gate_says_so():
    card = dataclasses.replace(CARD, verdict=None, label="came")
    said = "There is no gate before its use. It is made anew whenever it is needed, and used as it is"
    for text in (words(render_card(card)), card_markdown(card).replace("**", "")):
        assert said in text
        assert "Version in use" not in text
        assert "whether a person with a seat comes" in text


def model_probabilities(model, rows):
    return probabilities(model.pipeline, inputs(rows, model.features, model.texts))


def words(html):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title|desc)\b.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style))


def test_the_page_shows_the_verdict_with_its_reasons_and_all_figures():
    text = words(render_card(CARD))
    for expected in (
        "review-propensity-v2 Model card of version 3f9a12c47be0",
        "It did not pass the gate. It was compared with version 0b77d1a09c55, which was in use",
        "not surely better than the champion: its lower bound is −0.0010",
        "ROC AUC on 4,000 rows (443 answered) of 3,120 customers",
        "Version in use 0.7021 +0.0102 (−0.0010 to +0.0200)",
        "0.5 is chance 0.7123 0.6900",
        "ROC AUC, rows drawn at random 0.6988 –",
        "share of the rows answered 11.3% 11.3%",
        "4,000 rows, of which",
        "Shuffling engagement_score costs most: 0.0912 of AUC. No more than chance: trust_score.",
        "Orders and reviews of 90 days &lt;b&gt; 12.0%",
        "Latest trust score –",
        "too few to judge",
        "not judged by itself for JP: too few rows",
        "there are 41, fewer than 200",
        "Settings of the program file learningRate 0.1, maxLeaves 15",
        "Examples 48,213, from 2026-05-26 to 2026-11-07",
        "Hash of the examples a41c0ffee1230987",
        "numpy 2.4.0, scikit-learn 1.8.0",
    ):
        assert expected in text


def test_a_card_with_little_to_tell_says_so():
    text = words(render_card(BARE))
    assert "It passed the gate. No version was in use to compare with" in text
    assert "There are no rows to judge it on." in text
    assert "declared clock, which stood at 2026-11-22, 05:00 UTC" in text
    assert "Gain over it" not in text
    assert "Settings of the program file none" in text
    assert "By marketplace" not in text
    assert card_pictures(BARE) == {}
    assert "| Metric |" in card_markdown(BARE)


def test_the_page_loads_nothing():
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(| src=", render_card(CARD))


def test_the_same_card_gives_the_same_bytes():
    again = dataclasses.replace(
        CARD,
        curves=curves(LABELS[::-1], PROBABILITIES[::-1]),
        libraries=dict(reversed(CARD.libraries.items())),
        hyperparameters=dict(reversed(CARD.hyperparameters.items())),
    )
    assert render_card(again) == render_card(CARD)
    assert card_pictures(again) == card_pictures(CARD)
    assert card_markdown(again) == card_markdown(CARD)


def test_pictures_are_svg_files_with_a_size_and_a_background():
    pictures = card_pictures(CARD)
    assert list(pictures) == ["roc", "precision_recall", "calibration", "lift", "importance"]
    for picture in pictures.values():
        root = ET.fromstring(picture)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        background = root.find("{*}rect[@class='paper']").attrib
        assert (root.get("width"), root.get("height")) == (background["width"], background["height"])
        assert "review-propensity-v2, version 3f9a12c47be0" in "".join(root.itertext())


def test_markdown_holds_the_pictures_and_tables_of_even_columns():
    text = card_markdown(CARD)
    inside = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)\)", text)
    assert [base64.b64decode(one).decode() for one in inside] == list(card_pictures(CARD).values())
    assert r"The product's category \| shelf" in text
    assert r"90 days \<b\>" in text
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("label", "explored", "expected"),
    [
        ("reviewed", 0, "customers whom nobody asked"),
        ("answered", 0, "there are 0, fewer than 200"),
        ("answered", 199, "there are 199, fewer than 200"),
        ("answered", 1200, r"rows drawn at random (1,200) are free of that choice"),
    ],
)
def test_limits_say_whom_the_model_knows(label, explored, expected):
    assert expected in " ".join(limits_of(label=label, explored_rows=explored, slices=()))


def test_a_card_is_gathered_from_a_model_its_verdict_and_the_rows_it_was_judged_on():
    model = trained()
    verdict = judge(model, None, learnable_examples(), metric="roc_auc")
    rows = judged_rows(learnable_examples(), None, model).with_columns(
        marketplace=pl.when(pl.col("review_history") > 5).then(pl.lit("JP")).otherwise(pl.lit("DE")),
        is_exploration=pl.int_range(pl.len()) < 250,
    )
    card = card_of(model, verdict, rows, descriptions={"category": "Shelf"}, hyperparameters={}, seed=4)
    assert (card.curves.rows, card.metrics["rows"]) == (rows.height,) * 2
    assert card.baseline.keys() == card.metrics.keys()
    assert auc(rows["label"].to_numpy(), model_probabilities(model, rows)) == pytest.approx(
        card.metrics["roc_auc"], abs=1e-6
    )
    assert {one.feature for one in card.importance[:2]} == {"engagement_score", "category"}
    assert [(one.name, one.is_judged) for one in card.slices] == [("DE", True), ("JP", False)]
    assert [one.description for one in card.features if one.name == "category"] == ["Shelf"]
    assert "250" in " ".join(card.limits)
    assert "review-propensity-v2" in render_card(card)
    assert not re.search(r"\b[cp]\d+\b", words(render_card(card)) + card_markdown(card))  # no customer, no subject


def test_axes_end_in_round_steps():
    assert ticks(1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(0.23) == [0, 0.05, 0.1, 0.15, 0.2, 0.25]
    assert ticks(3.4) == [0, 1, 2, 3, 4]
    assert ticks(0)[-1] > 0


@pytest.mark.browser
def test_the_page_opens_offline_and_fits_wide_and_narrow_screens(chromium_path, tmp_path):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    quiet = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
    )
    page_file = tmp_path / "card.html"
    page_file.write_text(render_card(CARD), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=quiet.split())
        page = browser.new_context(offline=True).new_page()
        requests, faults = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        for width in (1100, 375):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(page_file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("svg[role=img]:visible").count() == 5
        barriers = [found["id"] for found in Axe().run(page).response["violations"]]
        page.emulate_media(color_scheme="dark")
        dark = {"runOnly": ["color-contrast"]}
        barriers += [found["id"] for found in Axe().run(page, options=dark).response["violations"]]
        browser.close()
    assert set(requests) == {page_file.as_uri()}
    assert faults == []
    assert barriers == []
