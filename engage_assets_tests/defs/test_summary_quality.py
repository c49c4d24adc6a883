"""What the checks of a day's logs say."""

import json
from datetime import date

import pytest

from engage_assets.defs.summary_quality import judged
from engage_assets_tests.defs.summary_works import FIRST, SECOND, SHOP, Works


def said(works: Works, day: date) -> dict[str, str | None]:
    works.desk().prepare(day)
    return {check.check_name: check.description for check in judged(works.desk(), day) if not check.passed}


@pytest.fixture
def works(tmp_path):
    works = Works(tmp_path)
    works.log(SHOP, FIRST, ("u1", f"{FIRST} 09:00"))
    return works


def test_a_kind_that_is_logged_no_more_is_named(works):
    works.log(SHOP, SECOND, ("u1", f"{SECOND} 09:00"), without=("commerce.purchase", "commerce.search"))
    assert not said(works, FIRST)
    found = said(works, SECOND)
    assert found.keys() == {"kinds_are_logged_as_before"}
    assert "called purchase: commerce.purchase or commerce.checkout.purchase; search: commerce.search, as" in str(found)


def test_a_kind_that_was_never_logged_is_named(tmp_path):
    works = Works(tmp_path)
    for day in (FIRST, SECOND):
        works.log(SHOP, day, ("u1", f"{day} 09:00"), without=("commerce.cart.add",))
    found = said(works, SECOND)
    assert found.keys() == {"every_kind_is_logged"}
    assert "no event of the day or the 7 days before is called cart_add: commerce.cart.add: what" in str(found)


def test_attributes_go_by_the_names_that_are_logged(works):
    works.log(SHOP, SECOND, ("u1", f"{SECOND} 09:00"), without=("salePrice", "sellerNm"))
    words = said(works, SECOND)["attributes_are_filled"]
    assert words == "cart_add.price (salePrice or price): 0%; cart_add.seller (sellerNm or sellerId): 0%"


def test_a_log_of_which_nothing_can_be_read_fails(works):
    path = works.home.logs / SHOP / f"{SECOND}.ndjson"
    path.write_text("no JSON\n" * 3, encoding="utf-8")
    assert said(works, SECOND)["records_are_readable"] == "malformed: 3 of 3: no record of the day's log is an event"
    record = json.dumps({"timestamp": f"{SECOND}T09:00:00Z", "body": "x", "resource": {"service.name": "another"}})
    path.write_text(record + "\n", encoding="utf-8")
    assert "other_service: 1 of 1" in str(said(works, SECOND)["records_are_readable"])


@pytest.mark.parametrize("form", [".ndjson", "", "/part.ndjson"])
def test_a_log_without_a_record_is_as_good_as_none(works, form):
    path = works.home.logs / SHOP / f"{SECOND}{form}"
    if "ndjson" in form:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    else:
        path.mkdir()
    assert f"the log of {SECOND} (UTC) in {works.home.logs / SHOP} holds no record" in str(
        said(works, SECOND)["logs_have_come"]
    )
