"""Names of topics in their plain form, and how near they stand in the tree."""

import pytest

from engage_assets.domain.topics import Topics, plain

TREE = [
    {"topic": "Technology", "parent": None, "synonyms": None},
    {"topic": "cloud-computing", "parent": "technology", "synonyms": ["Cloud", "cloud_services"]},
    {"topic": "devops", "parent": "Cloud", "synonyms": []},
    {"topic": "serverless", "parent": "cloud computing", "synonyms": None},
    {"topic": "data", "parent": "technology", "synonyms": ["devops"]},
]
TOPICS = Topics.of(TREE)


@pytest.mark.parametrize(
    "name", ["cloud computing", " Cloud-computing", "CLOUD_COMPUTING\t", "\u00a0cloud\u3000computing"]
)
def test_names_are_compared_in_their_plain_form(name):
    assert plain(name) == "cloud computing"


@pytest.mark.parametrize(
    ("name", "tenths"),
    [
        ("devops", 10), ("cloud computing", 7), ("cloud", 7), ("cloud services", 7), ("technology", 4),
        ("serverless", 4), ("data", None), ("gardening", None),
    ],
)  # fmt: skip
def test_nearness_by_steps_in_the_tree(name, tenths):
    assert TOPICS.near("devops").get(name) == tenths


def test_two_steps_down_and_a_topic_that_the_tree_lacks():
    near = dict.fromkeys(["cloud computing", "cloud", "cloud services", "data"], 7)
    assert TOPICS.near("technology") == {"technology": 10, **near, "devops": 4, "serverless": 4}
    assert TOPICS.near("gardening") == {"gardening": 10}


def test_a_synonym_stands_for_its_topic_and_a_topic_for_itself():
    assert TOPICS.distinct(["Cloud", "cloud-computing", " ", "Gardening"]) == ["cloud computing", "gardening"]
    assert TOPICS.distinct(["devops"]) == ["devops"], "not the other topic's synonym"
    assert TOPICS.words(["cloud_services"]) == ("cloud", "cloud computing", "cloud services")


def test_a_parent_without_a_row_joins_its_children_and_a_circle_ends():
    found = Topics.of([{"topic": "a", "parent": "top"}, {"topic": "b", "parent": "top"}])
    assert found.near("a") == {"a": 10, "top": 7, "b": 4}
    circle = Topics.of([{"topic": "a", "parent": "b"}, {"topic": "b", "parent": "a"}, {"topic": "c", "parent": "c"}])
    assert (circle.near("a"), circle.near("c")) == ({"a": 10, "b": 7}, {"c": 10})
