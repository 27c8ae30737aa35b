"""The mails that the mail server received, read from its maildir."""

from __future__ import annotations

import re
from email import policy
from email.errors import MessageError
from email.parser import BytesParser
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


class Received(NamedTuple):
    """One mail, as it came over the wire."""

    name: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail taken apart."""
        return BytesParser(policy=policy.default).parsebytes(self.raw)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers in their order, decoded for people."""
        return [(name, str(text)) for name, text in self.message.items()]

    @property
    def source(self) -> str:
        """The bytes for people to read."""
        return self.raw.decode(errors="replace")

    @property
    def text(self) -> str:
        """What it says; the mail may be anybody's, so it may say nothing readable."""
        try:
            body = self.message.get_body(("plain",))
            return "" if body is None else str(body.get_content())
        except (KeyError, LookupError, MessageError, ValueError):
            return ""


def list_mails(maildir: Path) -> list[Received]:
    """Return all mails, the newest first."""
    files = sorted((maildir / "new").glob("*.eml"), reverse=True)
    return [Received(file.stem, file.read_bytes()) for file in files]


def find_mail(maildir: Path, name: str) -> Received | None:
    """Return the mail called *name*."""
    file = maildir / "new" / f"{name}.eml"
    is_ours = re.fullmatch(r"[0-9-]+", name)  # no other name may reach the file system
    return Received(name, file.read_bytes()) if is_ours and file.exists() else None
