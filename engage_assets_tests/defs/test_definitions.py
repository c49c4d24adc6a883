"""What loads: keys, jobs and schedules are a list that is changed on purpose only."""

import importlib
from datetime import UTC, datetime

import dagster as dg
import pytest
import yaml

from engage_assets.defs.build import build_definitions
from engage_assets.deployment import resources
from engage_assets.domain.errors import EngageError
from engage_assets.programs import ProgramFolder, load_folder
from engage_assets_tests.builders import a_program
from engage_assets_tests.defs.homes import PROGRAMS

ROOT = PROGRAMS.parent
SERVICES = ["theshop_brand", "theshop_pharmacy"]
ASSETS = [
    *(
        f"services/{service}/{name}"
        for service in SERVICES
        for name in (
            *("logs", "events", "session_day", "user_day", "purchase_ledger", "quality"),
            *("month_user", "month_order", "month_total"),
        )
    ),
    *(
        f"commerce/{service}/{name}"
        for service in SERVICES
        for name in (
            *("button_interaction", "cart_source", "category_performance", "hourly_traffic", "navigation_flow"),
            *("period_totals", "product_ranking", "purchase_analytics", "search_analytics"),
        )
    ),
    *(
        f"behaviour/{service}/{name}"
        for service in SERVICES
        for name in (
            *("conversion", "dau", "event_distribution", "mau", "retention", "session_metrics", "user_cohort"),
        )
    ),
    "commerce_dashboard",
    "summaries/monitoring",
    "archive/changes",
    "archive/compacted",
    "archive/demand",
    "archive/errors",
    "archive/event",
    "archive/notification",
    "archive/sale",
    "event_invitations/attendance",
    "event_invitations/notices",
    "event_invitations/attendance_forecasts",
    "event_invitations/attendance_forecast_card",
    "event_invitations/event_reports",
    "events/catalogue",
    "ledger/opt_outs",
    "ledger/registrations",
    "ledger/responses",
    "ledger/send_events",
    "ledger/survey_answers",
    *(
        f"{program}/{name}"
        for program in ("product_reviews", "music_feedback", "event_invitations")
        for name in (
            *("candidates", "set_aside", "filter_verdicts", "filtered_candidates", "scored_candidates"),
            *("stored_candidates", "list_verdicts", "email_list", "decisions", "email_campaigns", "email_sends"),
            *("responses", "outcomes", "daily_metrics", "daily_report", "warehouse_export"),
        )
    ),
    *(
        f"product_reviews/{name}"
        for name in (
            *("raw_deliveries", "activity_features", "reviewing_features", "standing_features"),
            *(f"review_propensity_v2_{part}" for part in ("card", "examples", "model", "verdict")),
        )
    ),
    *(
        f"event_invitations/{name}"
        for name in (
            *("raw_customer_profiles", "ledger_mirrored", "profiles_features", "interests_features"),
            *("event_catalogue_features", "combined_models", "in_app_banners", "in_app_sends"),
            *(
                f"{model}_{part}"
                for model in ("event_attendance_v3", "interest_affinity_v2")
                for part in ("card", "examples", "model", "verdict")
            ),
        )
    ),
    *(
        f"music_feedback/{name}"
        for name in (
            *("raw_track_plays", "artists_features", "feedback_given_features"),
            *("listening_features", "taste_features", "combined_models"),
            *("track_scores", "playlists", "playlist_changes", "brigades"),
            *(
                f"{model}_{part}"
                for model in ("feedback_propensity_v3", "music_affinity_v2")
                for part in ("card", "examples", "model", "verdict")
            ),
        )
    ),
]
JOBS = [
    "archive_day_close",
    "archive_drain",
    "archive_redact",
    "candidates_clean_up",
    "event_invitations_attendance",
    "event_invitations_notices",
    "event_invitations_event_reports",
    "music_feedback_playlists",
    "opt_outs_sweep",
    *(
        f"{program}_{job}"
        for program in ("product_reviews", "music_feedback", "event_invitations")
        for job in ("batch", "delivery", "export", "metrics", "training")
    ),
    "summaries_close",
    "theshop_brand_behaviour",
    "theshop_brand_commerce",
    "theshop_pharmacy_behaviour",
    "theshop_pharmacy_commerce",
]
SCHEDULES = {
    "candidates_clean_up_schedule": "0 1 * * SUN",
    "opt_outs_sweep_schedule": "30 */6 * * *",
    "event_invitations_batch_schedule": "0 2 * * 1",
    "event_invitations_export_schedule": "30 4 * * MON",
    "event_invitations_delivery_schedule": "*/15 * * * *",
    "event_invitations_metrics_schedule": "59 23 * * *",
    "event_invitations_event_reports_schedule": "35 * * * *",
    "event_invitations_training_schedule": "0 5 * * 0",
    "music_feedback_batch_schedule": "0 2 * * *",
    "music_feedback_export_schedule": "30 3 * * *",
    "music_feedback_delivery_schedule": "*/15 * * * *",
    "music_feedback_metrics_schedule": "59 23 * * *",
    "music_feedback_playlists_schedule": "0 18 * * *",
    "music_feedback_training_schedule": "0 4 * * 0",
    "product_reviews_batch_schedule": "0 2 * * *",
    "product_reviews_export_schedule": "0 3 * * *",
    "product_reviews_delivery_schedule": "*/15 * * * *",
    "product_reviews_metrics_schedule": "59 23 * * *",
    "product_reviews_training_schedule": "0 3 * * 0",
    "summaries_close_schedule": "37 4 * * *",
    "theshop_brand_behaviour_schedule": "0 2 * * *",
    "theshop_brand_commerce_schedule": "0 4 * * *",
    "theshop_pharmacy_behaviour_schedule": "0 2 * * *",
    "theshop_pharmacy_commerce_schedule": "0 4 * * *",
}
OWNERS = {
    "product_reviews": ["team:reviews"],
    "music_feedback": ["team:curation", "team:artist-relations"],
    "event_invitations": ["team:events", "team:marketing"],
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    home = tmp_path_factory.mktemp("home")
    return build_definitions(load_folder(PROGRAMS), resources({"ENGAGE_HOME": str(home)}))


def test_keys_jobs_and_schedules(definitions):
    repository = definitions.get_repository_def()

    keys = sorted(key.to_user_string() for key in repository.asset_graph.get_all_asset_keys())
    assert keys == sorted(ASSETS)
    assert sorted(name for name in repository.job_names if not name.startswith("__")) == sorted(JOBS)
    assert {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs} == SCHEDULES
    dg.Definitions.validate_loadable(definitions)


def test_every_asset_tells_an_analyst_what_it_is(definitions):
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.group_name in ("archive", "events", "ledger", "summaries", *OWNERS, *SERVICES), spec.key
        assert spec.kinds, spec.key
        if spec.group_name == "archive":
            assert spec.owners == ["team:archive"], spec.key
        if spec.group_name in OWNERS:
            assert spec.owners == OWNERS[spec.group_name], spec.key
        if {"avro"} == set(spec.kinds) and spec.partitions_def:
            columns = spec.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns), spec.key
            assert {"reference.id", "lineage.changeTime"} <= {column.name for column in columns}, spec.key
        if {"parquet", "polars"} <= set(spec.kinds):
            columns = spec.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns), spec.key
            assert "dagster/column_lineage" in spec.metadata, spec.key


def test_the_batch_schedule_asks_for_the_day_before(definitions):
    schedule = definitions.resolve_schedule_def("product_reviews_batch_schedule")
    tick = datetime(2026, 10, 10, 2, tzinfo=UTC)

    requests = schedule.evaluate_tick(
        dg.build_schedule_context(scheduled_execution_time=tick, repository_def=definitions.get_repository_def())
    ).run_requests

    assert [request.partition_key for request in requests or []] == ["2026-10-09"]


def test_nothing_that_sends_can_be_materialized(definitions):
    """Deliveries are ops: no selection of assets, and so no backfill, reaches one."""
    executable = {
        key for assets in definitions.assets or [] if isinstance(assets, dg.AssetsDefinition) for key in assets.keys
    }
    assert dg.AssetKey(["product_reviews", "email_sends"]) not in executable
    assert definitions.resolve_job_def("product_reviews_delivery").asset_layer.executable_asset_keys == set()


def test_a_disabled_program_has_no_schedule(tmp_path):
    program = a_program(enabled=False)
    folder = ProgramFolder({program.program_id: program}, load_folder(PROGRAMS).marketplaces)

    built = build_definitions(folder, resources({"ENGAGE_HOME": str(tmp_path)}))

    names = {schedule.name for schedule in built.get_repository_def().schedule_defs}
    assert names == {"candidates_clean_up_schedule", "opt_outs_sweep_schedule"}


def test_an_unknown_deployment_is_named(tmp_path):
    with pytest.raises(EngageError, match=r"ENGAGE_DEPLOYMENT='mars' is not known; known: local"):
        resources({"ENGAGE_DEPLOYMENT": "mars", "ENGAGE_HOME": str(tmp_path)})


def test_what_dagster_loads_names_every_fault_of_a_program_file(tmp_path, monkeypatch):
    broken = tmp_path / "programs"
    broken.mkdir()
    (broken / "marketplaces.yaml").write_text((PROGRAMS / "marketplaces.yaml").read_text())
    text = (PROGRAMS / "product-reviews.yaml").read_text()
    text = text.replace("order: 2", "order: two").replace("minScore: 0.7", "minScore: 7").replace('"JP"]', '"XX"]')
    (broken / "product-reviews.yaml").write_text(text)

    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(broken))
    [place] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]

    with pytest.raises(EngageError) as shown:
        importlib.import_module(place["python_module"]["module_name"]).defs()

    assert "product-reviews.yaml:28: filterChain.1.order:" in str(shown.value)
    assert "product-reviews.yaml:39: channels.0.minScore:" in str(shown.value)
