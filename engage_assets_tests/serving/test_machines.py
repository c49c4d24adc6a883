import random
from datetime import timedelta

import pytest

from engage_assets.serving.machines import RULES, SOONEST, SUSPICION, is_listed, machine_rule

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
PEOPLE = [
    f"{WINDOWS} Safari/537.36",
    f"{WINDOWS} Safari/537.36 Edg/142.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605",
    f"{IPHONE} Version/18.6 Mobile/15E148 Safari/604.1",
    f"{IPHONE} Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG 9) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A; wv) AppleWebKit/537.36 Version/4.0 Chrome/142.0.0.0 Mobile",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.5266; ms-office)",
    "Outlook-iOS/729.2430145.prod.iphone (4.2538.0)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
]
MACHINES = [
    "BarracudaCentral/1.0 (+https://www.barracudacentral.org)",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Mimecast-TTP-URL-Scanner/3.2",
    "Mozilla/5.0 (compatible; Microsoft SafeLinks; +https://aka.ms/safelinks)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
    "FortiMail/7.4",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1",
    "WhatsApp/2.24.20 A",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
    "curl/8.14.1",
    "Wget/1.25.0",
    "python-requests/2.32.5",
    "Go-http-client/2.0",
    "Java/21.0.2",
    "axios/1.7.9",
]
APPLE = "Mozilla/5.0"
GMAIL = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135"
    " Safari/537.36 Edge/12.246 Mozilla/5.0"
)
LATER = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def rule(kind="open", method="GET", agent=PEOPLE[0], after=LATER, honeypot=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return machine_rule(kind, method, named | {"user-agent": agent}, after, honeypot)


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_pass(agent):
    assert rule("open", agent=agent) is None


@pytest.mark.parametrize("agent", MACHINES)
def test_listed_agents_are_machines(agent):
    assert is_listed(agent)
    assert rule("click", agent=agent) == "listed_agent"


def test_each_rule_has_its_case():
    cases = [
        rule(honeypot=SECOND),
        rule(method="HEAD"),
        rule(agent=APPLE),
        rule(agent=""),
        rule(agent="curl/8.0"),
        rule(after=None),
        rule(after=SECOND),
    ]
    assert ["honeypot", *cases] == list(RULES)  # the honeypot's is given by its address
    assert rule(agent=GMAIL) == rule(sec_purpose="prefetch;prerender") == rule(purpose="Prefetch") == "prefetch"
    assert rule(agent="  ") == "no_agent"


@pytest.mark.parametrize("kind", SOONEST)
def test_a_person_needs_time_and_suspicion_ends(kind):
    assert rule(kind, after=SOONEST[kind] - SECOND) == "too_fast"
    assert rule(kind, after=-LATER) == "too_fast"
    assert rule(kind, after=SOONEST[kind]) is None
    assert rule(kind, honeypot=SUSPICION) == "after_honeypot"
    assert rule(kind, honeypot=SUSPICION + SECOND) is None
    assert rule(kind, honeypot=-SECOND) is None


def test_of_seeded_scanners_nineteen_in_twenty_are_caught_and_of_people_less_than_one_in_a_hundred():
    draw = random.Random(3)
    scanners = [a_scanner(draw) for _ in range(5_000)]
    people = [a_person(draw) for _ in range(5_000)]
    caught = sum(rule(*visit) is not None for visit in scanners) / len(scanners)
    flagged = sum(rule(*visit) is not None for visit in people) / len(people)
    assert caught >= 0.95, caught
    assert flagged < 0.01, flagged


def a_scanner(draw):
    """Two in five name themselves; the others come as a browser, most of them as the mail arrives, some by a sandbox
    that follows every link, and three in a hundred late and alone.
    """
    kind, browser = draw.choice(["open", "click"]), draw.choice(PEOPLE[:9])
    late = timedelta(seconds=draw.uniform(30, 900))
    chance = draw.random()
    if chance < 0.40:
        return kind, "GET", draw.choice([*MACHINES, APPLE, GMAIL, ""]), late
    if chance < 0.50:
        return kind, "HEAD", browser, late
    if chance < 0.77:
        return kind, "GET", browser, timedelta(seconds=draw.uniform(0, 9))
    if chance < 0.97:
        return kind, "GET", browser, late, timedelta(seconds=draw.uniform(0, 240))
    return kind, "GET", browser, late


def a_person(draw):
    """Half open within three hours, the quickest in a hundred within a minute; a click follows by reading.

    One in twenty sits behind a scanner that followed the hidden link when the mail came.
    """
    opened = draw.lognormvariate(9.3, 2.2) + 3
    honeypot = timedelta(seconds=opened) if draw.random() < 0.05 else None
    if draw.random() < 0.7:
        return "open", "GET", draw.choice(PEOPLE), timedelta(seconds=opened), honeypot
    read = draw.lognormvariate(3, 0.7) + 4
    return "click", "GET", draw.choice(PEOPLE[:9]), timedelta(seconds=opened + read), honeypot
