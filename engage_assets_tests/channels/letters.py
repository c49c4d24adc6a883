"""One good program, marketplace, listed row and campaign row; a test changes one field."""

import polars as pl

from engage_assets.channels.email import render
from engage_assets.channels.links import Links
from engage_assets.channels.message import Letterpress
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.tables import LIST_COLUMNS, frame_schema
from engage_assets.domain.tokens import Signer
from engage_assets_tests.builders import a_program, instant

ADDRESS = "person@example.invalid"
LISTED_SCHEMA = {**frame_schema(LIST_COLUMNS), "subject_name": pl.String()}

PROGRAM = a_program()
CHANNEL = PROGRAM.channels[0]

MARKETPLACE = Marketplace(
    name="Deutschland",
    time_zone="Europe/Berlin",
    locale="de-DE",
    currency="EUR",
    sender_name="Müller & Söhne",
    sender_address="reviews@shop.example.invalid",
    reply_to="help@shop.example.invalid",
    postal_address="Müller & Söhne\nMarktstraße 1, 10115 Berlin\n",
    site_url="https://shop.example.invalid/de/",
)

SIGNER = Signer({7: bytes(range(32))}, signing=7)
LINKS = Links("https://reviews.example.invalid/r", SIGNER)

QUESTIONS = {
    "en": ("How was your Kettle?", "How was your recent purchase?"),
    "de": ("Wie zufrieden sind Sie mit „Kettle“?", "Wie zufrieden sind Sie mit Ihrem letzten Einkauf?"),
    "fr": ("Qu’avez-vous pensé de «\xa0Kettle\xa0»\u202f?", "Qu’avez-vous pensé de votre dernier achat\u202f?"),
    "ja": ("「Kettle」はいかがでしたか？", "先日ご購入いただいた商品はいかがでしたか？"),
    "pt": ("O que você achou de “Kettle”?", "O que você achou da sua compra recente?"),
}
"""The subject line with and without a product name, by language."""


def listed(**changes):
    """A list of one row."""
    row = {
        "record_id": "r1",
        "customer_id": "c1",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p1",
        "rank": 1,
        "score": 0.9,
        "event_at": instant("2026-11-20T08:00"),
        "locale": "en-GB",
        "time_zone": "Europe/Berlin",
        "campaign_id": "product-reviews:email:2026-11-20:DE",
        "template_id": "review-request-v3",
        "slot_local": instant("2026-11-22T10:00"),
        "slot_at": instant("2026-11-22T09:00"),
        "subject_name": "Kettle",
    }
    return pl.DataFrame([row | changes], schema=LISTED_SCHEMA)


def rendered(marketplace=MARKETPLACE, **changes):
    """The rendered campaign row of a list of one row."""
    frame = render(listed(**changes), program=PROGRAM, channel=CHANNEL, marketplaces={"DE": marketplace})
    return frame.row(0, named=True)


def letter(row=None, *, name="Ada", address=ADDRESS, marketplace=MARKETPLACE, links=None, calendar=None):
    """The letter of one campaign row."""
    press = Letterpress({"DE": marketplace}, links)
    return press.letter(row or rendered(), name=name, address=address, calendar=calendar)


def parts(row, *, name="Ada", links=None):
    """Its text and its HTML, merged."""
    sent = links.of(row["send_id"], row["slot_at"]) if links else None
    return Letterpress({"DE": MARKETPLACE}).parts(row, name=name, links=sent)
