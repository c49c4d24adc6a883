"""Messages as a person looks at them before they are sent: one page, with nobody's name and no tracking."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import takewhile
from typing import Any, Final

import polars as pl

from engage_assets.channels.links import untracked
from engage_assets.channels.message import Letterpress
from engage_assets.domain.marketplaces import Marketplace

STAND_IN: Final = "Alex Example"
"""Whom a preview greets."""
_FEW: Final = 6
"""Campaigns that the page's title names."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1f2933; }}
article {{ margin: 1rem 0 2rem; padding: 1rem; border: 1px solid #d2d6dc; border-radius: .5rem; }}
h1, h2, h3, li {{ overflow-wrap: anywhere; }}
h2 {{ margin: 2rem 0 .5rem; font-size: 1.25rem; }}
h3 {{ margin: 0 0 .5rem; font-size: 1.125rem; }}
nav ul {{ columns: 12rem; padding-left: 1.25rem; }}
a {{ color: #1d4ed8; }}
dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem; overflow-wrap: anywhere; }}
dt {{ color: #4b5563; }}
dd {{ margin: 0; }}
iframe {{ width: 100%; height: 46rem; border: 1px solid #d2d6dc; }}
pre {{ padding: 1rem; background: #f3f4f6; white-space: pre-wrap; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>Names are a stand-in, links lead nowhere, nothing is tracked.</p>
{campaigns}
</main>
</body>
</html>
"""
_CAMPAIGN: Final = """<section aria-labelledby="campaign-{number}">
<h2 id="campaign-{number}">{campaign}</h2>
{articles}
</section>
"""
_ARTICLE: Final = """<article lang="{locale}">
<h3>{subject}</h3>
<dl lang="en">
{facts}
</dl>
<iframe sandbox loading="lazy" title="{subject}" srcdoc="{html}"></iframe>
<details lang="en"><summary>Plain text</summary><pre lang="{locale}">{text}</pre></details>
</article>
"""


def preview(rows: pl.DataFrame, *, marketplaces: Mapping[str, Marketplace], base_url: str | None = None) -> str:
    """A page of HTML with the messages of some rows of EMAIL_CAMPAIGNS, complete in itself.

    With `base_url` they look as with a service, else as without. Raises EngageError as the letters' builder does.
    """
    press = Letterpress(marketplaces)
    articles: dict[str, list[str]] = {}
    for row in rows.iter_rows(named=True):
        article = _article(press, row, marketplaces[row["marketplace"]], base_url)
        articles.setdefault(row["campaign_id"], []).append(article)
    campaigns = [
        _CAMPAIGN.format(number=number, campaign=escape(campaign), articles="\n".join(articles[campaign]))
        for number, campaign in enumerate(sorted(articles), start=1)
    ]
    title = f"Preview of {_named(sorted(articles))}"
    return _PAGE.format(title=escape(title), campaigns=_contents(sorted(articles)) + "\n".join(campaigns))


def _named(campaigns: Sequence[str]) -> str:
    """The campaigns by name where they are few, else their number and how their ids begin."""
    if len(campaigns) <= _FEW:
        return ", ".join(campaigns) or "no campaign"
    return f"{len(campaigns)} campaigns of {_beginning(campaigns).removesuffix(':')}"


def _beginning(campaigns: Sequence[str]) -> str:
    """The parts that all ids have in common."""
    parts = zip(*(campaign.split(":") for campaign in campaigns), strict=False)
    return "".join(f"{part[0]}:" for part in takewhile(lambda part: len(set(part)) == 1, parts))


def _contents(campaigns: Sequence[str]) -> str:
    """Where to find each campaign on the page, without what all ids begin with; nothing where there is but one."""
    if len(campaigns) <= 1:
        return ""
    beginning = _beginning(campaigns)
    entries = (
        f'<li><a href="#campaign-{number}">{escape(campaign.removeprefix(beginning))}</a></li>'
        for number, campaign in enumerate(campaigns, start=1)
    )
    return f'<nav aria-label="Campaigns">\n<ul>\n{chr(10).join(entries)}\n</ul>\n</nav>\n'


def _article(press: Letterpress, row: Mapping[str, Any], marketplace: Marketplace, base_url: str | None) -> str:
    text, html = press.parts(row, name=STAND_IN, links=untracked(base_url) if base_url else None)
    facts = {
        "From": f"{marketplace.sender_name} <{marketplace.sender_address}>",
        "Reply to": marketplace.reply_to,
        "Customer": row["customer_id"],
        "Due": f"{row['slot_local']:%Y-%m-%d %H:%M} where the customer lives ({row['time_zone'] or 'zone unknown'})",
        "Language": row["locale"],
        "Template": row["template_id"],
        "Send": row["send_id"],
    }
    return _ARTICLE.format(
        locale=escape(row["locale"]),
        subject=escape(row["subject"]),
        facts="\n".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()),
        html=escape(html),
        text=escape(text),
    )
