"""The command: ``python -m benchmarks``, from the repository's folder."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.environments import CannotInstallError
from benchmarks.peers import NAMES
from benchmarks.report import Report
from benchmarks.runner import Runner
from benchmarks.scenarios import EVERYONE, OURS
from benchmarks.servers import Postgres
from benchmarks.sizes import FULL, QUICK

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main() -> None:
    """Measure, write down what came out, and show it."""
    parser = _parser()
    options = parser.parse_args()
    if unknown := set(options.peers) - set(NAMES):
        parser.error(f"no peer named {', '.join(unknown)}; there are {', '.join(NAMES)}")
    asyncio.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure asyncjobs beside its peers, on one PostgreSQL.",
        epilog="example: python -m benchmarks --quick ours pgqueuer",
    )
    parser.add_argument(
        "peers", nargs="*", metavar="PEER", help=f"of {', '.join(NAMES)}; default: ours"
    )
    parser.add_argument("--all", action="store_true", help="all peers; writes RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="only show that everything works")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions (default 3)")
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        choices=[scenario.__name__ for scenario in (*EVERYONE, *OURS)],
        help="only this one, also of those that are for ours only; may be repeated",
    )
    parser.add_argument("--dsn", default="", help="a server to use instead of an embedded one")
    parser.add_argument("--output", type=Path, help="path of the report, without .md")
    return parser


async def _run(options: argparse.Namespace) -> None:
    names = list(NAMES) if options.all else options.peers or ["ours"]
    before = machine.describe()
    started = time.monotonic()
    async with Postgres.start(options.dsn) as postgres:
        sizes = QUICK if options.quick else FULL
        runner = Runner(postgres, sizes, RESULTS / "logs", options.scenario)
        await runner.run(names, 1 if options.quick else options.repeat)
        report = Report.of(
            runner,
            quick=options.quick,
            machine=before,
            server=await postgres.describe(),
            repetitions=1 if options.quick else options.repeat,
            seconds=time.monotonic() - started,
        )
    path, data = _paths(options)
    report.write(path, data)
    try:
        await report.plot(path, data)
    except CannotInstallError as error:
        print(f"no plot: {error}", file=sys.stderr)
    print(report.table())


def _paths(options: argparse.Namespace) -> tuple[Path, Path]:
    if options.output:
        return options.output.with_suffix(".md"), options.output.with_suffix(".json")
    if options.quick:
        return RESULTS / "quick.md", RESULTS / "quick.json"
    if options.all and not options.scenario:
        return HERE / "RESULTS.md", RESULTS / "peers.json"
    return RESULTS / "ours.md", RESULTS / "ours.json"


if __name__ == "__main__":
    main()
