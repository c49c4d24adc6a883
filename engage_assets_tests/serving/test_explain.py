"""What the query API says of a candidate's score."""

import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.explanations import Contribution, Explanation
from engage_assets.serving.app import create_app
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fakes import FakeContacts, FakeStore, a_row, some_services

PATH = "/v1/programs/product-reviews/customers/c-1/subjects/p-1/explanation"
EXPLANATION = Explanation(
    model_id="review-propensity-v2",
    version="0123456789ab",
    method="how the mean moves",
    base=-2.5,
    contributions=(Contribution("category", None, "books", 0.4), Contribution("price", 10.0, 12.5, -0.1)),
    probability=0.1,
    score=0.8,
)


def client(tmp_path, *rows, explain=None, scopes=("candidates:read",)) -> Client:
    key, show = a_key(scopes)
    store = FakeStore(*(rows or [a_row()]))
    services = some_services(tmp_path, store=store, contacts=FakeContacts(keys=[key]), explain=explain)
    return Client(create_app(services), show)


def test_a_stored_candidate_is_explained(tmp_path):
    asked = []

    def explain(row):
        asked.append(row["marketplace"])
        return [EXPLANATION]

    rows = [a_row(score=0.4), a_row(marketplace="FR", score=0.9), a_row(subject_id="p-2", score=1.0)]
    service = client(tmp_path, *rows, explain=explain)
    found = service.get(PATH).json()
    assert found["candidate"]["marketplace"] == "FR"
    assert found["asOf"] == "2026-11-20T12:00:00Z"
    assert found["models"] == [
        {
            "modelId": "review-propensity-v2",
            "version": "0123456789ab",
            "method": "how the mean moves",
            "probability": 0.1,
            "score": 0.8,
            "base": -2.5,
            "features": [
                {"feature": "category", "value": None, "usual": "books", "logOdds": 0.4},
                {"feature": "price", "value": 10.0, "usual": 12.5, "logOdds": -0.1},
            ],
        }
    ]
    assert service.get(PATH, params={"marketplace": "DE"}).json()["candidate"]["score"] == 0.4
    assert asked == ["FR", "DE"]


def no_model(row):
    raise ModelError("/home/someone/models holds no version of the model")


@pytest.mark.parametrize(
    ("path", "explain", "said"),
    [
        (PATH.replace("p-1", "p-9"), lambda row: [EXPLANATION], "no such candidate"),
        (PATH.replace("product-", "other-"), lambda row: [EXPLANATION], "no such program; known: product-reviews"),
        (f"{PATH}?marketplace=JP", lambda row: [EXPLANATION], "no such candidate"),
        (PATH, no_model, "no longer kept"),
        (PATH, None, "gives no explanations"),
    ],
)
def test_what_is_not_there_is_a_404_that_says_what(tmp_path, path, explain, said):
    answer = client(tmp_path, explain=explain).get(path)
    assert answer.status_code == 404
    assert said in answer.json()["detail"]
    assert "someone" not in answer.text


def test_a_key_without_the_scope_is_refused(tmp_path):
    assert client(tmp_path, scopes=("candidates:write",)).get(PATH).status_code == 403
