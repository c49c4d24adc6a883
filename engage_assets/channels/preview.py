"""Messages as a person looks at them before they are sent: one page, with nobody's name and no tracking."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import polars as pl

from engage_assets.channels.links import untracked
from engage_assets.channels.message import Letterpress
from engage_assets.domain.marketplaces import Marketplace

STAND_IN: Final = "Alex Example"
"""Whom a preview greets."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1f2933; }}
article {{ margin: 2rem 0; padding: 1rem; border: 1px solid #d2d6dc; border-radius: .5rem; }}
h1 {{ overflow-wrap: anywhere; }}
h2 {{ margin: 0 0 .5rem; font-size: 1.25rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; overflow-wrap: anywhere; }}
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
{articles}
</main>
</body>
</html>
"""
_ARTICLE: Final = """<article lang="{locale}">
<h2>{subject}</h2>
<dl lang="en">
{facts}
</dl>
<iframe sandbox title="{subject}" srcdoc="{html}"></iframe>
<details lang="en"><summary>Plain text</summary><pre lang="{locale}">{text}</pre></details>
</article>
"""


def preview(rows: pl.DataFrame, *, marketplaces: Mapping[str, Marketplace], base_url: str | None = None) -> str:
    """A page of HTML with the messages of some rows of EMAIL_CAMPAIGNS, complete in itself.

    With `base_url` they look as with a service, else as without. Raises EngageError as the letters' builder does.
    """
    press = Letterpress(marketplaces)
    articles = [_article(press, row, marketplaces[row["marketplace"]], base_url) for row in rows.iter_rows(named=True)]
    campaigns = sorted(set(rows["campaign_id"].to_list()))
    title = f"Preview of {', '.join(campaigns) or 'no campaign'}"
    return _PAGE.format(title=escape(title), articles="\n".join(articles))


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
