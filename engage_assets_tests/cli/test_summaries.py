"""`engage summaries …`, and summaries in `engage sql`, as a person types them."""

import shutil

import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets_tests.defs.homes import PROGRAMS
from engage_assets_tests.defs.summary_works import FIRST, SHOP, Works

DECLARED = "2026-11-01T06:00:00"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    works = Works(tmp_path_factory.mktemp("home"))
    works.log(SHOP, FIRST, ("u1", f"{FIRST} 02:00"), ("u2", f"{FIRST} 03:00"))
    return works.home.root


@pytest.fixture
def engage(home, monkeypatch):
    """A command; all that it says."""
    monkeypatch.setenv("ENGAGE_HOME", str(home))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(PROGRAMS))
    monkeypatch.setenv("ENGAGE_NOW", DECLARED)

    def run(*words, code=0):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_a_day_by_hand_and_what_there_is_then(engage, home):
    shown = engage("summaries", "run", SHOP, "2026-10-30")
    assert "2026-10-30: 16 events, 0 duplicates left out" in shown
    assert shown.count("_summary ") == 16
    assert f"dashboard: {home}/lake/commerce_dashboard/2026-10-30.html" in shown

    again = engage("summaries", "run", SHOP, "2026-10-30", "--family", "commerce")
    assert "events" not in again
    assert again.count("_summary ") == 9

    shown = engage("summaries", "status")
    assert "theshop-brand: logs 2026-10-30 to 2026-10-30 (1 days)" in shown
    assert "theshop-pharmacy: no logs, no silver" in shown
    assert "32 tables, 32 missing" in shown

    table = "theshop_brand_commerce_product_ranking_summary"
    assert "16" in engage("sql", "SELECT count(*) AS n FROM services.theshop_brand_events")
    assert "p1" in engage("sql", f"SELECT productid, calculation_date FROM {table}")
    assert "1 row" in engage("sql", f"SELECT DISTINCT calculation_date FROM history.{table}")
    assert "lake.services" not in engage("sql", "SHOW ALL TABLES", "--limit", "1000")


def test_a_day_that_goes_on_is_said_to_do_so(engage):
    assert "2026-11-01 is not over yet in Asia/Seoul" in engage("summaries", "run", SHOP, "2026-11-01")


def test_a_table_that_cannot_be_made_is_named(engage, home):
    folder = home / "lake" / "summaries" / "theshop_brand_dau_summary"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    try:
        shown = engage("summaries", "run", SHOP, "2026-10-30", "--family", "behaviour", code=1)
    finally:
        folder.unlink()
    assert "error: theshop_brand_dau_summary: " in shown
    assert shown.count("_summary ") == 6


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("summaries", "run", "x'; DROP TABLE y; --", "2026-10-30"), 'no service is called "x\'; DROP TABLE y; --"'),
        (("summaries", "run", "../theshop-brand", "2026-10-30"), "no service is called '../theshop-brand'"),
        (("summaries", "run", SHOP, "2026-09-01"), "the logs of theshop-brand begin with 2026-10-30"),
        (("summaries", "run", SHOP, "2052-10-28"), "2052-10-28 has not begun in Asia/Seoul"),
        (("summaries", "run", "theshop-pharmacy", "2026-10-30"), "there are no logs"),
        (("sql", "DROP VIEW theshop_brand_dau_summary"), "only SELECT"),
        (("sql", "SELECT * FROM read_parquet('/etc/passwd')"), "it may read tables only"),
    ],
)
def test_mistakes(engage, words, complaint):
    assert complaint in engage(*words, code=1)


@pytest.mark.parametrize(
    ("services", "complaint"),
    [
        (["the-shop", "the-shop"], "service the-shop stands more than once"),
        (['x\\"; DROP TABLE y; --'], "services.0.service"),
        (["a" * 32], "services.0.service"),
    ],
)
def test_services_whose_names_are_no_names_or_collide(tmp_path, engage, services, complaint):
    path = tmp_path / "summaries.yaml"
    listed = "".join(f'    - service: "{name}"\n' for name in services)
    path.write_text(f"commerceAnalytics:\n  services:\n{listed}")
    shown = engage("programs", "validate", str(path), code=1)
    assert f"{path}:" in shown
    assert complaint in shown


def test_a_folder_without_summaries(tmp_path, engage, monkeypatch):
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(tmp_path))
    assert "has the key commerceAnalytics" in engage("summaries", "status", code=1)
