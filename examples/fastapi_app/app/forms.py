"""What somebody typed into the sign-up form, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address

MAX_NAME = 80
MAX_EMAIL = 254
EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII | re.IGNORECASE)
"""The pattern that browsers use for ``<input type=email>``, and a dot in the domain."""


@dataclass(frozen=True, slots=True)
class SignUp:
    """A filled-in form."""

    name: str
    email: str

    @classmethod
    def clean(cls, name: str, email: str) -> SignUp:
        """Return the form without spaces around its values."""
        return cls(name.strip(), email.strip())

    def problems(self) -> dict[str, str]:
        """Return for each wrong field what to say to the person; empty if all is well."""
        problems = {}
        if not self.name:
            problems["name"] = "How should we call you?"
        elif len(self.name) > MAX_NAME or not self.name.isprintable():
            problems["name"] = f"A name is one line of at most {MAX_NAME} characters."
        if not self.email:
            problems["email"] = "Where should the welcome go?"
        elif not is_email(self.email):
            problems["email"] = "This does not look like an e-mail address."
        return problems


def is_email(text: str) -> bool:
    """Whether mail can be addressed to *text*."""
    if len(text) > MAX_EMAIL or not EMAIL.fullmatch(text):
        return False
    try:
        return bool(Address(addr_spec=text).domain)
    except (ValueError, MessageError):
        return False
