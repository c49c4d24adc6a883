"""Nothing personal leaks: canary addresses, names and words are looked for wherever a run leaves bytes."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import httpx
import polars as pl
from fastapi import FastAPI

from engage_assets.cli.operate import approve_campaigns
from engage_assets.cli.service import build_services
from engage_assets.sample.visits import Outbox
from engage_assets.serving.app import create_app
from engage_assets_tests.defs.homes import DAY, PROGRAM, at, batch_instant

ADDRESS, NAME, WORDS = "canary-address-81f2", "Canaryname81f2", "canary-words-81f2"
PUBLIC = "http://testserver"


def holders(folder: Path, *canaries: str) -> list[str]:
    """Files below a folder in whose bytes a canary stands; Parquet is read, as its pages are compressed."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += pl.read_parquet(path).select(pl.selectors.string()).write_csv().encode()
        found += [path.relative_to(folder).as_posix() for canary in canaries if canary.encode() in content]
    return found


async def answer(app: FastAPI, pixel: str, button: str) -> int:
    """Open a message, follow its button and review: the last answer's status."""
    browser = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"}
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=PUBLIC, headers=browser, follow_redirects=True
    )
    async with app.router.lifespan_context(app), client:
        await client.get(pixel)
        page = await client.get(button)
        form = [("rating", (None, "5")), ("text", (None, WORDS))]
        return (await client.post(page.url, files=form)).status_code


def test_canaries_are_found_only_where_they_belong(own, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    customers = own / "warehouse" / "crm" / "customers.parquet"
    marked = pl.read_parquet(customers).with_columns(
        email=pl.concat_str(pl.lit(f"{ADDRESS}-"), "customer_id", pl.lit("@example.invalid")), name=pl.lit(NAME)
    )
    marked.write_parquet(customers)
    slot = pl.read_parquet(own / "lake/product_reviews/email_campaigns" / f"{DAY}.parquet")["slot_at"].min()
    approve_campaigns(at(own, batch_instant()), PROGRAM, DAY)
    timed = at(own, slot, light=False, ENGAGE_PUBLIC_URL=PUBLIC, ENGAGE_TRANSPORT="dry_run")
    timed.run("product_reviews_delivery", tags={"engage/deliver": "confirmed"})
    letter = next((own / "outbox").rglob("*.eml"))
    mail = Outbox(own / "outbox").mail_of(letter.stem)

    later = at(own, slot + timedelta(hours=1), ENGAGE_PUBLIC_URL=PUBLIC)
    assert asyncio.run(answer(create_app(build_services(later.environment)), mail.pixel, mail.button)) == 200
    night = {"config": {"as_of": str(DAY + timedelta(days=1))}}
    ops = {f"product_reviews__{name}": night for name in ("outcomes", "measure", "report")}
    at(own, slot + timedelta(days=1), light=False).run("product_reviews_metrics", DAY, config={"ops": ops})

    said = caplog.text + "".join(capfd.readouterr())
    assert not [canary for canary in (ADDRESS, NAME, WORDS) if canary in said]
    for folder in ("dagster", "lake", "models", "export"):
        assert not holders(own / folder, ADDRESS, NAME, WORDS), folder
    # The message itself, and what the person wrote: nowhere else.
    assert {Path(name).suffix for name in holders(own / "outbox", ADDRESS)} == {".eml"}
    places = {name.split("/")[0].split("-")[0] for name in holders(own, WORDS)}
    assert places == {"ledger.db"}
    assert not [name for name in holders(own, ADDRESS) if name.startswith(("ledger", "candidates", "ledger.mark"))]
