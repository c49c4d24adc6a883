"""features.yaml: read beside the programs, laid over the documented views, its faults told with file, line and key."""

import shutil

import pytest

from engage_assets.defs.abilities import abilities
from engage_assets.domain.errors import ProgramFileError
from engage_assets.programs import FEATURES_FILE, documented_views, load_folder, read_views

VIEW = """views:
  - view: "visits"
    description: "Visits."
    entity: "customer"
    query: "SELECT customer_id, at AS event_at FROM visits"
    knownAt: "event_at"
    features:
      - name: "visit_count"
        description: "Visits up to the instant."
        aggregate: "count"
"""


@pytest.fixture
def folder(tmp_path, request):
    for name in ("marketplaces.yaml", "product-reviews.yaml"):
        shutil.copy(request.config.rootpath / "programs" / name, tmp_path / name)
    return tmp_path


def faults(call, *arguments):
    with pytest.raises(ProgramFileError) as error:
        call(*arguments)
    return [fault.rsplit("/", 1)[-1] for fault in error.value.args]


def rewrite(path, *replacements):
    text = path.read_text(encoding="utf-8")
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_a_folder_without_the_file_has_the_documented_views(folder):
    loaded = load_folder(folder, abilities())
    assert loaded.views == documented_views()
    served = tuple(view for view in documented_views().values() if view.serves("deliveries"))
    assert loaded.programs["product-reviews"].feature_views == served
    assert len(served) < len(loaded.views)


def test_programs_may_take_features_of_the_folder_and_of_their_own(folder):
    (folder / FEATURES_FILE).write_text(VIEW, encoding="utf-8")
    own = VIEW.replace("views:", "featureViews:", 1).replace("visits", "own_visits").replace("visit_count", "own_count")
    program = folder / "product-reviews.yaml"
    rewrite(program, ('"trust_score"]', '"trust_score", "visit_count", "own_count"]'), ("owners:", f"{own}\nowners:"))
    loaded = load_folder(folder, abilities())
    assert list(loaded.programs) == ["product-reviews"]
    assert [*loaded.views] == [*documented_views(), "visits"]
    assert [view.view for view in loaded.programs["product-reviews"].feature_views][-2:] == ["visits", "own_visits"]


def test_a_view_of_a_documented_name_replaces_it_with_all_its_features(folder):
    (folder / FEATURES_FILE).write_text(VIEW.replace('"visits"', '"standing"'), encoding="utf-8")
    assert read_views(folder / FEATURES_FILE)["standing"].features[0].name == "visit_count"
    (found,) = faults(load_folder, folder, abilities())
    assert found.startswith(
        "product-reviews.yaml:20: scoringModels.0.features.2: no feature is called 'trust_score' (there are: category,"
    )


def test_faults_are_told_with_their_lines_and_once(folder):
    twice = VIEW.replace("visit_count", "price").replace("entity:", "entitty:").replace('"count"', '"average"')
    (folder / FEATURES_FILE).write_text(twice, encoding="utf-8")
    rewrite(folder / "product-reviews.yaml", ('"trust_score"]', '"trust_score", "visit_count"]'))
    found = faults(load_folder, folder, abilities())
    assert [fault.split(": ")[:2] for fault in found] == [
        ["features.yaml:2", "views.0.entity"],
        ["features.yaml:4", "views.0.entitty"],
        ["features.yaml:8", "views.0.features.0.name"],
        ["features.yaml:10", "views.0.features.0.aggregate"],
    ]
    assert found[2].endswith("view catalogue has a feature 'price' too; rename one, or replace that view")
