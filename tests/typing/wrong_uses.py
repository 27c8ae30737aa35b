"""What every type checker must report, on the lines marked with `# wrong` and on no others.

Read by test_typing.py, never run.
"""

from __future__ import annotations

from asyncjobs import JobManager, MemoryAdapter, Queue, RateLimit, WorkerGroup, current_job

jobs = JobManager(adapters={"memory": MemoryAdapter()}, queues=["default", "email"])
later = jobs.create_scheduler(adapter="memory")


@jobs.job
async def send(user: int, note: str = "", *, urgent: bool = False) -> str:
    return f"{user} {note} {urgent}"


@jobs.job
async def sweep() -> None: ...


@jobs.job(queue="email")
def resize(path: str) -> bytes:
    return path.encode()


async def plain(user: int) -> str:
    return str(user)


# Arguments of a call

send("7")  # wrong: type of an argument
send()  # wrong: missing argument
send(7, "x", True)  # wrong: keyword-only argument by position
send(7, "x", urgent=True, again=True)  # wrong: extra argument
send(7, urgent="yes")  # wrong: type of a keyword argument
send(user=7, nte="x")  # wrong: misspelt argument
sweep(7)  # wrong: extra argument
resize(7)  # wrong: type of an argument of a def
resize()  # wrong: missing argument of a def


# Results of a call


async def await_them() -> None:
    number: int = await send(7)  # wrong: type of the result
    text: str = send(7)  # wrong: not awaited
    size: int = await resize("a")  # wrong: type of the result of a def
    send(7).upper()  # wrong: a call is not its result
    print(number, text, size)


# Undecorated functions


async def perform_them() -> None:
    await send.perform("7")  # wrong: type of an argument
    number: int = await send.perform(7)  # wrong: type of the result
    await resize.perform("a")  # wrong: a def's result is not awaited
    resize.perform()  # wrong: missing argument
    print(number)


# Scheduling


async def schedule_them() -> None:
    await later(send("7"))  # wrong: type of an argument
    await later(send(7), wait="60")  # wrong: type of an option
    await later(send(7), wait_until=60)  # wrong: type of an option
    await later(send(7), priority="high")  # wrong: type of an option
    await later(send(7), queue=5)  # wrong: type of an option
    await later(send(7), wiat=60)  # wrong: unknown option
    await later(send(7), tags=7)  # wrong: type of an option
    await later(send(7), meta=["a"])  # wrong: type of an option
    await later(send(7), cron=5)  # wrong: type of an option
    await later(send(7), cron="@daily", catch_up="twice")  # wrong: none of the choices
    await later(send(7), cron="@daily", wiat=60)  # wrong: unknown option
    await later.many([send(7)], cron="@daily")  # wrong: many do not recur
    await later(plain(7))  # wrong: the call of what is no job
    await later(plain, [7])  # wrong: what is no job
    await later("send", [7])  # wrong: the name of a job
    await later()  # wrong: nothing to schedule
    await later(send(7), [7])  # wrong: arguments twice
    await later(send, 7)  # wrong: arguments that are no list
    await later.many(send(7))  # wrong: a call is no list of them
    await later.many([send])  # wrong: a job without its call
    await later.many([send(7)], wiat=60)  # wrong: unknown option
    text: str = await later(send(7))  # wrong: a scheduled job is not the result
    (await later(send(7))).upper()  # wrong: a scheduled job is not the result
    number: int = (await later(send(7))).name  # wrong: type of an attribute
    print(later(send(7)).id)  # wrong: not awaited
    await later.cancel("7")  # wrong: type of an id
    total: int = await (await later(send(7))).result()  # wrong: type of a result
    await (await later(send(7))).result("10")  # wrong: type of a timeout
    await later(send(7), retain="1h")  # wrong: type of an option
    totals: list[int] = await later.wait_all([await later(send(7))])  # wrong: type of results
    current_job().progress("half")  # wrong: type of progress
    print(total, totals)
    await later.delete(nme="send")  # wrong: misspelt field of a filter
    await later(send(7), unique=7)  # wrong: type of a key
    await later(send(7), unique=True, on_conflict="rais")  # wrong: no way with a conflict
    print(text, number)


# Definitions


@jobs.job(max_atempts=3)  # wrong: unknown option
async def misspelt() -> None: ...


@jobs.job(priority="high")  # wrong: type of an option
async def mistyped() -> None: ...


@jobs.job(backoff=lambda attempt: 5.0)  # wrong: a backoff takes two arguments
async def hasty() -> None: ...


jobs.job(5)  # wrong: no function
WorkerGroup(adapter="memory", concurency=5)  # wrong: unknown option
WorkerGroup(adapter="memory", concurrency="many")  # wrong: type of an option
WorkerGroup(queue="*")  # wrong: missing option
WorkerGroup("memory")  # wrong: option by position
JobManager(adapters={"memory": "memory://"})  # wrong: no adapter
JobManager(adaptors={"memory": MemoryAdapter()})  # wrong: unknown option
JobManager(queues=["default"])  # wrong: missing option
jobs.create_scheduler("memory")  # wrong: option by position


@jobs.job(retry_on="OSError")  # wrong: type of an option
async def picky() -> None: ...


@jobs.job(process="yes")  # wrong: type of an option
def divided() -> None: ...


@jobs.job(concurrency="two")  # wrong: type of an option
async def crowded() -> None: ...


RateLimit(10)  # wrong: missing option
RateLimit(10, per="minute")  # wrong: type of an option
Queue(concurrency=5)  # wrong: missing option
later.from_thread(send("7"))  # wrong: type of an argument
jobs.hooks.after_success(5)  # wrong: no function
jobs.hooks.after_failure(lambda job: None)  # wrong: a hook takes two arguments
