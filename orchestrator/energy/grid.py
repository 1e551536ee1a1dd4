"""How much carbon dioxide a kilowatt-hour stands for: what the user says, or a country's grid with source and year."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from orchestrator.store.errors import InputError

EMBER = "Ember, yearly electricity data, by Our World in Data"
AIB = "Association of Issuing Bodies, production mix"
CLIMATE = "Climate Transparency report 2021"
DEFRA = "UK Government conversion factors"
WORLD = "world"


@dataclass(frozen=True)
class Intensity:
    """kg CO₂ equivalent per kWh of electricity, and who says so."""

    kg_per_kwh: float
    place: str
    source: str
    year: int | None

    def as_text(self) -> str:
        year = f", {self.year}" if self.year else ""
        return f"{self.kg_per_kwh:g} kg CO₂e per kWh ({self.place}: {self.source}{year})"


_GRAMS: dict[str, tuple[str, float, int, str]] = {
    "world": ("world average", 481, 2023, EMBER),
    "AR": ("Argentina", 354, 2023, EMBER),
    "AT": ("Austria", 111, 2023, EMBER),
    "AU": ("Australia", 549, 2023, EMBER),
    "BD": ("Bangladesh", 691, 2023, EMBER),
    "BE": ("Belgium", 138, 2023, EMBER),
    "BG": ("Bulgaria", 335, 2023, EMBER),
    "BO": ("Bolivia", 532, 2023, EMBER),
    "BR": ("Brazil", 98, 2023, EMBER),
    "CA": ("Canada", 170, 2023, EMBER),
    "CH": ("Switzerland", 12, 2020, AIB),
    "CL": ("Chile", 291, 2023, EMBER),
    "CN": ("China", 582, 2023, EMBER),
    "CO": ("Colombia", 260, 2023, EMBER),
    "CR": ("Costa Rica", 53, 2023, EMBER),
    "CY": ("Cyprus", 534, 2023, EMBER),
    "CZ": ("Czechia", 450, 2023, EMBER),
    "DE": ("Germany", 381, 2023, EMBER),
    "DK": ("Denmark", 152, 2023, EMBER),
    "EC": ("Ecuador", 150, 2023, EMBER),
    "EE": ("Estonia", 417, 2023, EMBER),
    "EG": ("Egypt", 570, 2023, EMBER),
    "ES": ("Spain", 171, 2020, AIB),
    "FI": ("Finland", 79, 2023, EMBER),
    "FR": ("France", 56, 2023, EMBER),
    "GB": ("United Kingdom", 231, 2020, DEFRA),
    "GE": ("Georgia", 168, 2023, EMBER),
    "GR": ("Greece", 337, 2023, EMBER),
    "HR": ("Croatia", 205, 2023, EMBER),
    "HU": ("Hungary", 204, 2023, EMBER),
    "ID": ("Indonesia", 718, 2020, CLIMATE),
    "IE": ("Ireland", 291, 2023, EMBER),
    "IN": ("India", 713, 2023, EMBER),
    "IR": ("Iran", 655, 2023, EMBER),
    "IT": ("Italy", 324, 2020, AIB),
    "JP": ("Japan", 466, 2020, CLIMATE),
    "KR": ("South Korea", 416, 2020, CLIMATE),
    "LT": ("Lithuania", 254, 2020, AIB),
    "LU": ("Luxembourg", 101, 2020, AIB),
    "LV": ("Latvia", 216, 2020, AIB),
    "MT": ("Malta", 391, 2020, AIB),
    "MX": ("Mexico", 431, 2020, CLIMATE),
    "NL": ("Netherlands", 374, 2020, AIB),
    "NO": ("Norway", 30, 2023, EMBER),
    "PL": ("Poland", 662, 2023, EMBER),
    "PT": ("Portugal", 202, 2020, AIB),
    "RO": ("Romania", 262, 2020, AIB),
    "RS": ("Serbia", 777, 2020, AIB),
    "SA": ("Saudi Arabia", 506, 2020, CLIMATE),
    "SE": ("Sweden", 41, 2023, EMBER),
    "SI": ("Slovenia", 224, 2020, AIB),
    "SK": ("Slovakia", 155, 2020, AIB),
    "SV": ("El Salvador", 271, 2023, EMBER),
    "TR": ("Türkiye", 430, 2021, EMBER),
    "TW": ("Taiwan", 573, 2021, EMBER),
    "UA": ("Ukraine", 240, 2021, EMBER),
    "US": ("United States", 379, 2021, EMBER),
    "VN": ("Vietnam", 448, 2021, EMBER),
    "ZA": ("South Africa", 716, 2021, EMBER),
}
"""ISO 3166 code → name, grams of CO₂ equivalent per kWh of electricity generated there, year, source."""


def countries() -> tuple[str, ...]:
    """The codes that `intensity_of` knows, "world" first."""
    return tuple(_GRAMS)


def intensity_of(country: str | None, kg_per_kwh: float | None) -> Intensity:
    """The number given, else that of the country, else the world's; InputError for both at once or an unknown one.

    country: an ISO 3166 code of two letters or an English name, in any case. kg_per_kwh: ≥ 0.
    """
    if country is not None and kg_per_kwh is not None:
        raise InputError("--country and --kg-per-kwh: expected one of them, found both", "Leave one of them out.")
    if kg_per_kwh is not None:
        if not 0 <= kg_per_kwh < 10:
            raise InputError(
                f"--kg-per-kwh {kg_per_kwh:g}: expected kilograms per kilowatt-hour, from 0 to 10",
                "Divide a value in grams by 1000: --kg-per-kwh 0.381",
            )
        return Intensity(kg_per_kwh, "given", "--kg-per-kwh", None)
    wanted = (country or WORLD).strip()
    for code, (name, grams, year, source) in _GRAMS.items():
        if wanted.lower() in (code.lower(), name.lower()):
            return Intensity(grams / 1000, name, source, year)
    names = {name.lower(): name for name, *_ in _GRAMS.values()}
    near = difflib.get_close_matches(wanted.lower(), names, n=3, cutoff=0.6)
    hint = f"Nearest: {', '.join(names[name] for name in near)}. " if near else ""
    raise InputError(
        f"country {country!r}: expected one of {', '.join(_GRAMS)}",
        f"{hint}For any other place, give the number: --kg-per-kwh 0.57",
    )
