"""What the server itself gives, measured with pgbench: the row that no job runner can pass.

The table is as lean as a queue can be: an identity, a priority, a payload, one partial index.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from asyncjobs.storage.embedded import find_bindir
from benchmarks.processes import PeerError

if TYPE_CHECKING:
    from benchmarks.servers import Database
    from benchmarks.sizes import Sizes

TITLE = "the server itself (pgbench)"
BATCH = 1_000
ROUNDS = 150
"""Of claiming and deleting `BATCH` rows."""
TABLE = """
drop table if exists bare;
create table bare (
    id bigint generated always as identity primary key,
    priority smallint not null default 50,
    locked_by bigint,
    args jsonb not null default '{"sent": 0}'
);
create index on bare (priority, id) where locked_by is null;
"""
INSERT_ONE = "insert into bare default values returning id;"
INSERT_MANY = f"insert into bare (priority) select 50 from generate_series(1, {BATCH});"
CLAIM_AND_DELETE = f"""
with claimed as (
    update bare set locked_by = 1
    where id = any(array(
        select id from bare where locked_by is null
        order by priority, id limit {BATCH} for update skip locked
    ))
    returning id
)
select array_agg(id)::text as ids from claimed \\gset
delete from bare where id = any(:ids::text::bigint[]);
"""


async def limit(database: Database, sizes: Sizes) -> dict[str, float]:
    """Return rows a second: one by one, by 16 clients, 1 000 at once, and claim + delete."""
    seconds = f"-T{max(1, round(sizes.seconds))}"
    rounds = max(sizes.jobs(ROUNDS * BATCH) // BATCH, 2)
    await database.connection.execute(TABLE)
    figures = {
        "one_by_one": await _pgbench(database, INSERT_ONE, seconds, "-c1"),
        "concurrent": await _pgbench(database, INSERT_ONE, seconds, "-c16", "-j2"),
        "bulk": BATCH * await _pgbench(database, INSERT_MANY, seconds, "-c1"),
    }
    await database.connection.execute(TABLE)
    await database.connection.execute(
        f"insert into bare (priority) select 50 from generate_series(1, {BATCH * rounds})"
    )
    await database.settle()
    rate = await _pgbench(database, CLAIM_AND_DELETE, f"-t{rounds}", "-c1")
    return {**figures, "drain": BATCH * rate}


async def _pgbench(database: Database, script: str, *options: str) -> float:
    program = find_bindir() / "pgbench"
    if not program.exists():
        raise PeerError("there is no pgbench beside the server's programs")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        command = [str(program), "-n", "-M", "prepared", "-f", str(file), *options, database.url]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
    found = re.search(r"tps = ([\d.]+)", output.decode())
    if process.returncode or not found:
        raise PeerError(f"pgbench failed: {errors.decode().strip().splitlines()[-1:]}")
    return float(found[1])
