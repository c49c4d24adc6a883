"""Grafana dashboards as code, for the summary tables in Athena: `python -m dashboards.build` writes the files here."""
