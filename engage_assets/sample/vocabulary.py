"""Words and places of the synthetic world: where its people live, what they are called, what they buy.

All of it is invented; names are common ones, combined at random.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Place:
    """A marketplace's people: their share of all people, zones and further locales with shares, names."""

    share: float
    zones: dict[str, float]
    further_locales: dict[str, float]
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False


PLACES: Final[dict[str, Place]] = {
    "US": Place(
        0.42,
        {"America/New_York": 0.46, "America/Chicago": 0.28, "America/Denver": 0.08, "America/Los_Angeles": 0.18},
        {"es-US": 0.08},
        ("Olivia", "Emma", "Ava", "Mia", "Grace", "Chloe", "Liam", "Noah", "Ethan", "Mason", "Lucas", "Henry"),
        ("Smith", "Johnson", "Brown", "Garcia", "Miller", "Davis", "Lopez", "Wilson", "Nguyen", "Walker"),
    ),
    "UK": Place(
        0.18,
        {"Europe/London": 0.93, "Europe/Dublin": 0.05, "Europe/Jersey": 0.02},
        {"cy-GB": 0.02},
        ("Amelia", "Isla", "Poppy", "Freya", "Elsie", "Florence", "Oliver", "George", "Arthur", "Harry", "Alfie"),
        ("Taylor", "Davies", "Evans", "Thomas", "Roberts", "Wright", "Hughes", "Green", "Clarke", "Patel"),
    ),
    "DE": Place(
        0.17,
        {"Europe/Berlin": 0.86, "Europe/Vienna": 0.09, "Europe/Zurich": 0.05},
        {"de-AT": 0.09, "de-CH": 0.05},
        ("Hannah", "Mia", "Lena", "Jürgen", "Ute", "Sören", "Käthe", "Lukas", "Jonas", "Birgit", "Björn", "Anja"),
        ("Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Wagner", "Schäfer", "Koch", "Groß", "Yılmaz"),
    ),
    "FR": Place(
        0.12,
        {"Europe/Paris": 0.91, "Europe/Brussels": 0.05, "Indian/Reunion": 0.03, "America/Martinique": 0.01},
        {"fr-BE": 0.05},
        ("Léa", "Chloé", "Zoé", "Inès", "Noémie", "Hélène", "Hugo", "Théo", "François", "Raphaël", "Loïc"),
        ("Martin", "Bernard", "Dubois", "Lefèvre", "Moreau", "Girard", "Rousseau", "Lemaître", "Gauthier"),
    ),
    "JP": Place(
        0.11,
        {"Asia/Tokyo": 0.97, "Asia/Singapore": 0.02, "Pacific/Honolulu": 0.01},
        {"en-JP": 0.03},
        ("陽葵", "結衣", "さくら", "美咲", "葵", "優子", "蓮", "陽翔", "大輝", "健太", "直樹", "翔"),
        ("佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤"),
        family_first=True,
    ),
}
"""The marketplaces of the world."""

INDIA: Final = Place(
    1.0,
    {"Asia/Kolkata": 0.98, "Asia/Dubai": 0.02},
    {"hi-IN": 0.1},
    ("Aarav", "Vihaan", "Aditya", "Diya", "Ananya", "Ishaan", "Kavya", "Rohan", "Meera", "Priya", "Arjun"),
    ("Sharma", "Patel", "Reddy", "Iyer", "Singh", "Gupta", "Nair", "Das", "Mehta", "Rao"),
)
"""Where nobody buys, and people listen."""

FOREIGN_MARKETPLACE: Final = "IT"
"""A marketplace with customers that the reviews program does not serve."""

FOREIGN: Final = Place(
    0.0,
    {"Europe/Rome": 1.0},
    {},
    ("Giulia", "Sofia", "Chiara", "Nicolò", "Matteo", "Lorenzo"),
    ("Rossi", "Russo", "Ferrari", "Esposito", "Bianchi"),
)
FOREIGN_LOCALE: Final = "it-IT"

INVALID_ZONES: Final = ("Mars/Olympus_Mons", "GMT+25", "New York", "")
"""What stands in `time_zone` where no zone does."""


@dataclass(frozen=True)
class Category:
    """A category: how it moves the log odds of a review, the median price, and its products."""

    effect: float
    median_price: float
    things: tuple[str, ...]


CATEGORIES: Final[dict[str, Category]] = {
    "audio": Category(0.45, 79.0, ("Over-Ear Headphones", "Bookshelf Speaker", "Pocket Radio", "Clip-On Microphone")),
    "beauty": Category(0.35, 19.0, ("Hand Cream", "Cedar Soap", "Face Serum", "Beard Oil", "Bath Salts")),
    "books": Category(0.25, 15.0, ("Pocket Atlas", "Bread Cookbook", "Star Guide", "Puzzle Book", "Garden Almanac")),
    "clothing": Category(-0.15, 35.0, ("Rain Jacket", "Linen Shirt", "Wool Socks", "Sun Hat", "Fleece Vest")),
    "electronics": Category(0.60, 129.0, ("Desk Monitor", "Travel Charger", "Wireless Mouse", "Photo Frame")),
    "garden": Category(-0.25, 28.0, ("Watering Can", "Seed Tray", "Folding Saw", "Herb Planter", "Bird Feeder")),
    "grocery": Category(-0.60, 9.0, ("Green Tea", "Oat Biscuits", "Olive Paste", "Forest Honey", "Chili Sauce")),
    "home": Category(0.00, 32.0, ("Desk Lamp", "Cotton Throw", "Wall Clock", "Storage Basket", "Door Mat")),
    "kitchen": Category(0.20, 42.0, ("Chef's Knife", "Coffee Grinder", "Cast Pan", "Salad Spinner", "Tea Kettle")),
    "office": Category(-0.45, 14.0, ("Gel Pens", "Ring Binder", "Desk Pad", "Paper Trimmer", "Label Tape")),
    "sports": Category(0.10, 38.0, ("Yoga Mat", "Skipping Rope", "Trail Bottle", "Bike Light", "Foam Roller")),
    "toys": Category(-0.10, 24.0, ("Wooden Train", "Marble Run", "Kite", "Memory Game", "Plush Otter")),
}

STYLES: Final = ("Everyday", "Compact", "Classic", "Quiet", "Large", "Travel", "Bright", "Premium", "Nordic", "Handy")
