"""Words of the synthetic world's events: a tree of topics, how people write them, who speaks, what work guests do."""

from dataclasses import dataclass
from typing import Final

from engage_assets.sample.vocabulary import PLACES, Place


@dataclass(frozen=True)
class Topic:
    """A leaf of the tree: other names of it, and what events about it are called."""

    synonyms: tuple[str, ...]
    title: str


TREE: Final[dict[str, dict[str, Topic]]] = {
    "cloud-computing": {
        "kubernetes": Topic(("k8s",), "Kubernetes in Practice"),
        "serverless": Topic(("FaaS",), "Serverless without Surprises"),
        "devops": Topic(("dev ops", "platform engineering"), "DevOps for Small Teams"),
        "observability": Topic(("monitoring",), "Seeing What Production Does"),
    },
    "data": {
        "machine-learning": Topic(("ML",), "Machine Learning That Ships"),
        "sql": Topic(("structured query language",), "SQL for Everyday Questions"),
        "data-engineering": Topic(("ETL",), "Pipelines That Heal"),
        "statistics": Topic(("stats",), "Statistics for Deciders"),
    },
    "security": {
        "identity": Topic(("IAM",), "Who Are You? Identity Today"),
        "threat-modelling": Topic(("threat modeling",), "Threat Models on One Page"),
        "encryption": Topic(("cryptography",), "Encryption in Plain Words"),
        "privacy": Topic(("data protection",), "Privacy by Default"),
    },
    "web": {
        "accessibility": Topic(("a11y",), "Pages for Everybody"),
        "javascript": Topic(("js",), "JavaScript You Can Read"),
        "css": Topic(("style sheets",), "Layouts That Hold"),
        "design-systems": Topic(("component libraries",), "One Design, Many Teams"),
    },
    "commerce": {
        "pricing": Topic(("price setting",), "What Is It Worth?"),
        "payments": Topic(("checkout",), "Payments That Arrive"),
        "logistics": Topic(("supply chain",), "From Shelf to Door"),
        "marketing": Topic(("growth",), "Marketing with Evidence"),
    },
    "leadership": {
        "hiring": Topic(("recruiting",), "Hiring Fairly"),
        "coaching": Topic(("mentoring",), "The Coaching Hour"),
        "strategy": Topic(("planning",), "Strategy on One Page"),
        "remote-work": Topic(("home office",), "Far Apart, Well Together"),
    },
}
"""Topics by the one above them."""

FAMILIES: Final = tuple(TREE)
LEAVES: Final = tuple((family, leaf) for family, leaves in TREE.items() for leaf in leaves)
"""Every leaf with its family, in the order of the tree."""
HOBBIES: Final = ("gardening", "chess", "Sourdough", "night photography")
"""Interests that the tree lacks."""
ROLES: Final[dict[str, str]] = {
    "cloud-computing": "site reliability engineer",
    "data": "data analyst",
    "security": "security engineer",
    "web": "web developer",
    "commerce": "shop manager",
    "leadership": "team lead",
}
"""The work that goes with a family of topics; many do another."""
SPEAKERS: Final = tuple(
    f"{given} {family}"
    for family in ("Adeyemi", "Lindqvist", "Marchetti", "Okafor")
    for given in ("Grace", "Tomasz", "Yuki")
)
TYPES: Final = ("webinar", "workshop", "product-launch", "training")

GUEST_PLACES: Final[dict[str, Place]] = {
    "AU": Place(
        0.5,
        {"Australia/Sydney": 0.7, "Australia/Perth": 0.2, "Australia/Darwin": 0.1},
        {},
        ("Charlotte", "Matilda", "Ruby", "Jack", "Cooper", "Angus", "Kirra"),
        ("Nguyen", "Campbell", "Kelly", "Walker", "Morrison", "Singh"),
    ),
    "BR": Place(
        0.5,
        {"America/Sao_Paulo": 0.8, "America/Manaus": 0.15, "America/Noronha": 0.05},
        {},
        ("Ana", "Beatriz", "Júlia", "João", "Gabriel", "Otávio", "Luís"),
        ("Silva", "Souza", "Araújo", "Gonçalves", "Conceição", "Magalhães"),
    ),
}
"""Where those live who neither buy nor listen, and come to events."""

REGIONS: Final = (*PLACES, "IN", *GUEST_PLACES)
"""Every region that profiles name."""

DIETARY: Final = ("vegetarian", "no nuts", "vegan, please", "halal", "gluten-free")
REMARKS: Final[dict[int, tuple[str, ...]]] = {
    1: ("I could not hear anything.",),
    2: ("Too much advertising.", "Too basic for me."),
    3: ("Good start, slow middle.",),
    4: ("Well prepared, a little long.", "I would come again."),
    5: ("The best hour of the week!", "Clear, friendly, useful."),
}
"""What is written in surveys, by rating."""
