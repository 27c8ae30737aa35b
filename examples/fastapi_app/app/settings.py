"""What the environment may change. The defaults suit a look around."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where things are and how long they take; durations are seconds."""

    smtp_host: str
    smtp_port: int
    mail_from: str
    folder: Path
    """Holds the received mails and the avatars."""
    tips_wait: float
    """Time between the sign-up and the second mail."""
    crm_backoff: float
    """Time between two attempts to reach the CRM."""
    place_pause: float
    """Time that the answer about one place takes."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Return the settings of this process."""
        read = os.environ.get
        return cls(
            smtp_host=read("SMTP_HOST", "127.0.0.1"),
            smtp_port=int(read("SMTP_PORT", "8025")),
            mail_from=read("MAIL_FROM", "hello@fernweh.example"),
            folder=Path(read("DEMO_FOLDER", ".asyncjobs/demo")),
            tips_wait=float(read("TIPS_WAIT", "10")),
            crm_backoff=float(read("CRM_BACKOFF", "1")),
            place_pause=float(read("PLACE_PAUSE", "0.5")),
        )

    @property
    def mails(self) -> Path:
        """The maildir that the mail server delivers to."""
        return self.folder / "mails"

    @property
    def avatars(self) -> Path:
        """The folder of the rendered avatars."""
        return self.folder / "avatars"


settings = Settings.from_environment()
