"""Whom to contact about what, when, through which channel: a Dagster application."""

import engage_assets.allocation  # noqa: F401 – before anything loads Polars
