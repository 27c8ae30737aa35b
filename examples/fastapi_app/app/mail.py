"""The mails that we write. EmailMessage refuses a line break in a header, whoever typed it."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime
from typing import TYPE_CHECKING

import aiosmtplib
import structlog

from app.settings import settings

if TYPE_CHECKING:
    from app.users import User

WELCOME = """\
Hello {name},

thank you for signing up. You were stored, and this mail was scheduled, in one
transaction: had either failed, neither would exist.

Until soon,
Fernweh
"""
TIPS = """\
Hello {name},

three things to try next:

1. Stop the demo with Ctrl-C while jobs wait, and start it again on a database of your own.
2. Kill a worker with kill -9. Its jobs run again within 35 seconds.
3. Look at your jobs in psql: select * from asyncjobs.jobs;

Fernweh
"""


def welcome(user: User) -> EmailMessage:
    """Return the mail that greets *user*."""
    return _compose(user, "welcome", f"Welcome, {user.name}", WELCOME)


def tips(user: User) -> EmailMessage:
    """Return the mail that *user* gets a while later."""
    return _compose(user, "tips", "Three things to try next", TIPS)


async def send(message: EmailMessage) -> None:
    """Hand *message* to the mail server. Raises aiosmtplib.SMTPException, or OSError."""
    host, port = settings.smtp_host, settings.smtp_port
    await aiosmtplib.send(message, hostname=host, port=port, timeout=10)


def _compose(user: User, kind: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address("Fernweh", addr_spec=settings.mail_from)
    message["To"] = Address(user.name, addr_spec=user.email)
    message["Subject"] = subject
    message["Date"] = localtime()
    # A job may run twice when a worker dies: the same mail has the same id, and a mailbox
    # can tell the second copy.
    domain = settings.mail_from.partition("@")[2]
    message["Message-ID"] = f"<{kind}.{user.id}@{domain}>"
    # Carried from the request to whichever process sends this.
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        message["X-Request-ID"] = request_id
    message.set_content(text.format(name=user.name))
    return message
