"""Building messages: CPU per message of the letter press, with and without signed links, and of `EmailMessage`.

usage: python bench/letters.py [MESSAGES]
All in one process, in turns; the same row content for all. `bytes` is the size of one linked message.
"""

import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

import measure
import polars as pl

ROUNDS = 5


def campaign(messages: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of EMAIL_CAMPAIGNS about products of ordinary names, and the marketplaces."""
    from pathlib import Path

    from engage_assets.channels.email import render
    from engage_assets.domain.tables import LIST_COLUMNS, frame_schema
    from engage_assets.programs import load_folder

    folder = load_folder(Path("programs"))
    program = folder.programs["product-reviews"]
    channel = next(channel for channel in program.channels if channel.type == "email")
    at = datetime.fromisoformat("2026-11-20T09:00")
    rows = [
        {
            "record_id": f"r{n}",
            "customer_id": f"customer-{n:06}",
            "marketplace": program.marketplaces[n % len(program.marketplaces)],
            "subject_type": "product",
            "subject_id": f"product-{n % 500}",
            "rank": n + 1,
            "score": 0.9,
            "event_at": at,
            "locale": ("en-US", "de-DE", "fr-FR", "ja-JP", "pt-BR")[n % 5],
            "time_zone": "UTC",
            "campaign_id": f"product-reviews:email:2026-11-20:{program.marketplaces[n % len(program.marketplaces)]}",
            "template_id": channel.config.template_id,
            "slot_local": at,
            "slot_at": at + timedelta(hours=n % 24),
            "subject_name": f"Edelstahl-Wasserkocher – Modell {n % 500}, 1,7 Liter",
        }
        for n in range(messages)
    ]
    listed = pl.DataFrame(rows, schema={**frame_schema(LIST_COLUMNS), "subject_name": pl.String()})
    made = render(listed, program=program, channel=channel, marketplaces=folder.marketplaces)
    return made.to_dicts(), dict(folder.marketplaces)


def by_the_library(row: dict[str, Any], marketplace: Any, parts: tuple[str, str]) -> bytes:
    """The same headers and parts through the standard library."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{marketplace.sender_name} <{marketplace.sender_address}>"
    message["Reply-To"] = marketplace.reply_to
    message["To"] = "person@example.invalid"
    message["Subject"] = row["subject"]
    message["Date"] = format_datetime(row["slot_at"])
    message["Message-ID"] = f"<{row['send_id']}@{marketplace.sender_address.partition('@')[2]}>"
    message["X-Campaign-ID"] = row["campaign_id"]
    message["Auto-Submitted"] = "auto-generated"
    text, html = parts
    message.set_content(text, cte="base64")
    message.add_alternative(html, subtype="html", cte="base64")
    return message.as_bytes()


def milliseconds(build: Callable[[dict[str, Any]], object], rows: list[dict[str, Any]]) -> float:
    """CPU of one message."""
    began = time.process_time()
    for row in rows:
        build(row)
    return (time.process_time() - began) / len(rows) * 1e3


def main(messages: int) -> None:
    """Report medians over some rounds, the builders taking turns."""
    from engage_assets.channels.links import Links
    from engage_assets.channels.message import Letterpress
    from engage_assets.domain.tokens import Signer

    rows, marketplaces = campaign(messages)
    links = Links("https://reviews.example.invalid", Signer({1: bytes(range(32))}, signing=1))
    alone, linked = Letterpress(marketplaces), Letterpress(marketplaces, links)

    def with_library(row: dict[str, Any]) -> bytes:
        parts = linked.parts(row, name="Zoë Müller", links=links.of(row["send_id"], row["slot_at"]))
        return by_the_library(row, marketplaces[row["marketplace"]], parts)

    builders = {
        "linked_ms": lambda row: linked.letter(row, name="Zoë Müller", address="person@example.invalid"),
        "alone_ms": lambda row: alone.letter(row, name="Zoë Müller", address="person@example.invalid"),
        "email_message_ms": with_library,
    }
    found: dict[str, list[float]] = {name: [] for name in builders}
    for _ in range(ROUNDS):
        for name, build in builders.items():
            found[name].append(milliseconds(build, rows[: messages if name != "email_message_ms" else messages // 10]))
    medians = {name: round(statistics.median(some), 4) for name, some in found.items()}
    size = statistics.mean(len(linked.letter(row, name="Zoë", address="a@example.invalid").content) for row in rows)
    measure.report(messages=messages, bytes=round(size), **medians)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
