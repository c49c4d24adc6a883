"""Names of what programs ask about: read once, and again after a while."""

import time

import polars as pl
import pytest

from engage_assets.connectors.subject_names import FRESH_SECONDS, SubjectNames
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.programs import check_supported
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program


def write(root, **names: str) -> None:
    folder = root / "ecommerce"
    folder.mkdir(exist_ok=True)
    rows = {"product_id": [*names, "p-9"], "name": [*names.values(), None]}
    pl.DataFrame(rows, schema={"product_id": pl.String, "name": pl.String}).write_parquet(folder / "products.parquet")


def test_names_are_read_again_after_a_while(tmp_path):
    write(tmp_path, p_1="Kettle")
    now = [0.0]
    names = SubjectNames(Warehouse(tmp_path), [a_program()], lambda: now[0])
    assert [names("product-reviews", one) for one in ("p_1", "p-9", "p-x")] == ["Kettle", None, None]
    assert names("another", "p_1") is None

    write(tmp_path, p_1="Lamp")
    now[0] = FRESH_SECONDS
    assert names("product-reviews", "p_1") == "Kettle"
    now[0] += 1
    for _ in range(500):
        if names("product-reviews", "p_1") == "Lamp":
            break
        time.sleep(0.01)
    assert names("product-reviews", "p_1") == "Lamp"


def test_without_a_table_there_are_no_names(tmp_path):
    assert SubjectNames(Warehouse(tmp_path), [a_program()])("product-reviews", "p_1") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Did you like {productName}?", None),
        ("Did you like {subjectName}?", None),
        ("Did you like {trackName}?", "{trackName} stands for nothing (known: productName, subjectName)"),
    ],
)
@pytest.mark.parametrize("key", ["prompt", "prompts"])
def test_what_stands_in_braces_must_be_a_name(key, text, found):
    from engage_assets.defs.abilities import abilities

    config = {"prompt": "?", "responseOptions": ["yes", "no"], key: text if key == "prompt" else {"de": text}}
    channel = {"channelId": "speaker", "type": "voice", "config": config}

    findings = list(check_supported(PRODUCT_REVIEWS | {"channels": [channel]}, abilities()))

    place = ("channels", 0, "config", key, *(["de"] if key == "prompts" else []))
    assert findings == ([(place, found)] if found else [])
