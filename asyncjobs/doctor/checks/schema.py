"""Whether our tables are those that this program works with, and whether it may use them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, warning
from asyncjobs.glance.words import plural, printable
from asyncjobs.storage.postgres.migrate import REQUIRED_VERSION, all_migrations
from asyncjobs.storage.postgres.statements import for_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination


async def migrations(exam: Examination) -> AsyncIterator[Finding]:
    """Whether the schema is up to date, and made by the migrations of this package."""
    table = for_schema(':"schema".migrations', exam.schema)
    [row] = await exam.rows("select to_regclass($1) is not null as there", table)
    applied = await exam.rows(exam.statements.applied_migrations) if row["there"] else []
    known = {step.version: step for step in all_migrations()}
    newest = max(known)
    if not applied or applied[-1]["version"] < REQUIRED_VERSION:
        yield bad(
            f"The schema {exam.schema!r} is not in this database.",
            "Nothing can be stored and nothing runs.",
            "asyncjobs migrate",
        )
        return
    for row in applied:
        step = known.get(row["version"])
        if step is not None and step.checksum != row["checksum"]:
            yield bad(
                f"The migration {printable(row['name'])} was applied with other contents than it "
                "has here.",
                "The tables may not be those that this program expects, and `asyncjobs migrate` "
                "refuses to go on.",
                "Deploy the version of asyncjobs that made them, or compare the schema with what "
                "`asyncjobs migrate --sql` prints.",
            )
    version, needs = applied[-1]["version"], applied[-1]["needs"]
    missing = [step.name for step in all_migrations() if step.version > version]
    if needs > newest:
        yield bad(
            f"The schema is at version {version}, and needs a program that knows version {needs}; "
            f"this one knows {newest}.",
            "This program refuses to work there.",
            "Deploy the version of asyncjobs that migrated it: pip install -U asyncjobs-pg",
        )
    elif missing:
        yield warning(
            f"{plural(len(missing), 'migration')} to be applied: {', '.join(missing)}.",
            "What came with them does not work yet; everything else does.",
            "asyncjobs migrate",
        )
    else:
        yield good(f"The schema {exam.schema!r} is at version {version}, the newest known here.")


async def privileges(exam: Examination) -> AsyncIterator[Finding]:
    """Whether the database's user may do what workers do."""
    account = printable((await exam.server())["account"])
    missing = defaultdict(list)
    for row in await exam.rows(exam.statements.examine_privileges, exam.schema):
        missing[row["name"]].append(row["privilege"])
    if not missing:
        yield good(f"The user {account} may do all that workers do.")
        return
    grants = " ".join(
        f'grant {", ".join(wanted)} on {printable(name)} to "{account}";'
        for name, wanted in missing.items()
    )
    yield warning(
        f"The user {account} may not do all that workers do: it lacks privileges on "
        f"{', '.join(map(printable, missing))}.",
        "Workers of this user fail with NotPermittedError. A program that only schedules needs "
        "less: see the page on the database.",
        grants,
    )
