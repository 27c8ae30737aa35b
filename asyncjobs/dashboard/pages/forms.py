"""Forms that were sent: their token is checked before anything else is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from asyncjobs.dashboard.guard import FIELD, check_token

if TYPE_CHECKING:
    from starlette.datastructures import FormData, ImmutableMultiDict
    from starlette.requests import Request

Fields: TypeAlias = "ImmutableMultiDict[str, Any]"
"""What a form has sent, or an address holds."""
MAX_FIELDS = 1_100
"""A whole page of chosen jobs, and the rest of its form."""
NUMBER = re.compile(r"[0-9]{1,18}")


async def read_form(request: Request) -> FormData:
    """Return the form of *request*. Raises HTTPException if it was not sent by our page."""
    form = await request.form(max_files=0, max_fields=MAX_FIELDS)
    check_token(request, form.get(FIELD))
    return form


def field(form: Fields, name: str) -> str:
    """Return a field of the form; nothing if it is not there."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def text_of(form: Fields, name: str) -> str:
    """Return a field as the database can be asked for it. Raises HTTPException.

    It is whole, because names may begin and end with spaces; see `typed_text_of`.
    """
    value = field(form, name)
    if "\0" in value:
        raise HTTPException(400, f"{name} has a character that nothing stored has.")
    return value


def typed_text_of(form: Fields, name: str) -> str:
    """Return what somebody has typed into a field, without spaces around. Raises HTTPException."""
    return text_of(form, name).strip()


def ids_of(form: Fields) -> list[int]:
    """Return the chosen ids. Raises HTTPException for what is none."""
    found = [value for value in form.getlist("id") if isinstance(value, str)]
    return [_id(value) for value in found]


def job_of(form: Fields) -> int | None:
    """Return the job on whose page the form is. Raises HTTPException for what is none."""
    value = field(form, "job")
    return _id(value) if value else None


def number_in(text: str) -> int | None:
    """Return the number that *text* is, if an id or a count may be so long."""
    return int(text) if NUMBER.fullmatch(text) else None


def _id(text: str) -> int:
    number = number_in(text)
    if number is None:
        raise HTTPException(400, "An id is a whole number.")
    return number


def see_other(url: str) -> RedirectResponse:
    """Lead to a page, which is asked for by GET."""
    return RedirectResponse(url, status_code=303)
