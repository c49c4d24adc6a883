"""Marketplaces: zone, language and sender of each, shared by all programs."""

from pydantic import Field, field_validator

from engage_assets.domain.slots import known_zones
from engage_assets.domain.spec import Spec


class Marketplace(Spec):
    """One marketplace out of marketplaces.yaml."""

    name: str
    time_zone: str = Field(description="IANA zone for customers whose own zone is unknown.")
    locale: str = Field(pattern=r"^[a-z]{2}-[A-Z]{2}$", description="BCP 47 language and region, de-DE.")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    sender_name: str
    sender_address: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    reply_to: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    postal_address: str = Field(description="Shown in the footer of every message.")
    site_url: str = Field(pattern=r"^https://[^\s?#]+$", description="Where a message's button leads.")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in known_zones():
            raise ValueError("not an IANA time zone such as Europe/Berlin")
        return value


class Marketplaces(Spec):
    """The file: marketplaces by code."""

    marketplaces: dict[str, Marketplace]
