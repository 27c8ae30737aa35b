"""What goes on by itself, so that there is something to see before anybody has signed up.

Travellers ask for prices and the weather, and partners send their offers. Some of it fails.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from app.jobs import PLACES, jobs, later
from asyncjobs import RateLimit, current_job

__all__ = ["jobs"]

PARTNERS = ("alpenblick", "bluewater", "caravan", "dolce")
SHORTLY = timedelta(minutes=10)
"""There is a lot of it: this is for how long it is kept."""

dice = random.Random()  # noqa: S311 - nobody is to be kept from guessing


class PartnerError(Exception):
    """A partner of this demo, who sends nonsense now and then."""


@jobs.job(every=5, retain=SHORTLY)
async def let_travellers_ask() -> None:
    """Store what the travellers of the next seconds want, each 5 seconds."""
    places = dice.choices(PLACES, k=dice.randint(10, 30))
    await later.many([price_trip(place) for place in places])
    await later.many([ask_weather(place) for place in places[:8]])
    await later.many([import_offers(dice.choice(PARTNERS)) for _ in range(4)])


@jobs.job(tags=["travellers"], max_attempts=2, backoff=lambda _attempt, _error: 2.0, retain=SHORTLY)
async def price_trip(place: str) -> None:
    """Ask a partner for a price. Some answers are lost, and some are lost again."""
    await asyncio.sleep(dice.uniform(0.01, 0.3))
    if dice.random() < 0.08:
        raise PartnerError(f"no price for {place}: the answer was cut off")


@jobs.job(tags=["travellers"], priority=70, rate_limit=RateLimit(2, per=1), retain=SHORTLY)
async def ask_weather(place: str) -> None:
    """Ask the weather service, which answers twice a second."""
    await asyncio.sleep(dice.uniform(0.05, 0.2))
    current_job().log.debug("weather.asked", place=place)


@jobs.job(
    tags=["partners"], concurrency_key="partner:{partner}", concurrency=1, max_attempts=1,
    retain=SHORTLY,
)  # fmt: skip
async def import_offers(partner: str) -> None:
    """Read what a partner sends: one delivery of each at a time."""
    pages = dice.randint(4, 12)
    for page in range(pages):
        current_job().progress(page / pages, f"page {page + 1} of {pages}")
        await asyncio.sleep(dice.uniform(0.05, 0.2))
        if dice.random() < 0.004:
            raise PartnerError(f"{partner} sent page {page + 1} without prices")


@jobs.job(cron="0 7 * * 1-5", timezone="Europe/Zurich")
async def tell_the_numbers() -> None:
    """Say how many trips were priced, on working days before anybody asks."""
    priced = await later.count(name="price_trip", state="succeeded")
    current_job().log.info("numbers.told", priced=priced.jobs)


@jobs.job(every=30, max_attempts=3, backoff=lambda _attempt, _error: 2.0, retain=SHORTLY)
async def check_partners() -> None:
    """See whether each partner answers; now and then one does not."""
    await asyncio.sleep(dice.uniform(0.2, 1.0))
    if dice.random() < 0.2:
        raise PartnerError(f"{dice.choice(PARTNERS)} did not answer")
