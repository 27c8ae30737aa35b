"""Every error says what happened, carries its facts, and survives pickling."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

import asyncjobs
from asyncjobs import errors

PLAIN = [  # raised with a sentence that is written where it happens
    error("something to read")
    for error in (
        errors.AsyncJobsError,
        errors.ConfigError,
        errors.AppNotFoundError,
        errors.ScheduleError,
        errors.WaitError,
        errors.NotAJobError,
        errors.ConnectionKindError,
        errors.AttemptError,
        errors.StorageError,
        errors.DaemonError,
        errors.EmbeddedPostgresError,
    )
]
SPEAKING = [  # with a sentence of their own
    errors.UnknownNameError("one", ["other", "third"]),
    errors.UnknownQueueError("emial", ["default", "email"]),
    errors.UnknownSettingError("ASYNCJOBS_QUEU", ["ASYNCJOBS_QUEUE"], "the environment"),
    errors.UnknownTimezoneError("Europe/Zurch", ["Europe/Zurich"]),
    errors.UnknownScheduleError("nihgtly", ["nightly"]),
    errors.RecurrenceError("give cron or every, not both"),
    errors.CronError("0 0 30 2 *", "never comes"),
    errors.UnknownAdapterError("postgre", ["postgres"]),
    errors.WorkerStuckError("default.0.0"),
    errors.UnknownWorkerError(17),
    errors.DeafWorkerError(17),
    errors.UnknownOptionError("priorty", ["queue", "priority"]),
    errors.UnknownJobError("send", []),
    errors.DuplicateJobError("send", "app.mail.send (mail.py:3)", "app.push.send (push.py:9)"),
    errors.DatabaseNotConfiguredError(),
    errors.ArgumentError("send", "argument 'user_id': input should be a valid integer"),
    errors.BatchTooLargeError(100_000, 100_001),
    errors.ConcurrencyKeyError("send", "must have at most 200 characters, got 201"),
    errors.JobExistsError("send", 7),
    errors.NotOpenError(),
    errors.NotOpenError("render"),
    errors.MiddlewareError(2, 1),
    errors.ExpiredError(),
    errors.ProcessDiedError(),
    errors.StoredArgumentsError("send", "missing a required argument: 'user_id'"),
    errors.ResultError("add", "it has no JSON"),
    errors.ProgressError("got 1.5"),
    errors.WaitingError(7, "add"),
    errors.JobFailedError(7, "add", {"error": "ValueError", "message": "no", "attempt": 3}),
    errors.JobCancelledError(7, "add"),
    errors.JobGoneError(7, "add"),
    errors.ResultNotKeptError(7, "add"),
    errors.ResultTimeoutError(7, "add", 10.0),
    errors.StoredResultError("add", "input should be a valid integer"),
    errors.DetachedJobError(7, "add"),
    errors.JobTimeoutError(14_400.0),
    errors.SelfCancelledError(),
    errors.AttemptsExhaustedError(24),
    errors.LeaseLostError("send", 7, 2),
    errors.NotCommittedError(),
    errors.TransactionError("the job is inside one already"),
    errors.StorageUnavailableError("connection refused"),
    errors.KeyInDoubtError(),
    errors.RowRefusedError("invalid byte sequence"),
    errors.NotPermittedError("permission denied for table jobs"),
    errors.NotMigratedError("asyncjobs"),
    errors.SchemaTooNewError("asyncjobs", 7, 5, 3),
    errors.MigrationChangedError("0001_initial"),
    errors.PostgresNotFoundError(["/usr/lib/postgresql", "PATH"]),
]
EXAMPLES = PLAIN + SPEAKING
CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, errors.AsyncJobsError)
}

each_error = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_there_is_an_example_of_every_error() -> None:
    assert {type(error) for error in EXAMPLES} == set(CLASSES.values())


@each_error
def test_an_error_survives_pickling_with_its_facts(error: errors.AsyncJobsError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert copy.args == error.args
    assert str(copy) == str(error)


@each_error
def test_an_error_is_one_readable_line_with_its_facts(error: errors.AsyncJobsError) -> None:
    text = str(error)

    assert len(text) > 15
    assert "\n" not in text
    for fact in vars(error).values():
        parts = list(fact.values()) if isinstance(fact, dict) else fact
        for part in parts if isinstance(parts, list) else [parts]:
            shown = f"{part:g}" if isinstance(part, float) else str(part)
            assert shown in text


@pytest.mark.parametrize("error", SPEAKING, ids=lambda error: type(error).__name__)
def test_the_facts_that_an_error_was_raised_with_are_its_attributes(
    error: errors.AsyncJobsError,
) -> None:
    assert tuple(vars(error).values()) == error.args


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.UnknownQueueError("emial", ["email", "default"]),
            "unknown queue 'emial' (known: default, email); did you mean 'email'?",
        ),
        (errors.UnknownQueueError("zzz", ["email"]), "unknown queue 'zzz' (known: email)"),
        (errors.UnknownJobError("send", []), "unknown job 'send' (known: none)"),
        (errors.JobTimeoutError(0.25), "cancelled after its max_runtime of 0.25 s"),
    ],
)
def test_an_error_reads_as_a_sentence(error: errors.AsyncJobsError, text: str) -> None:
    assert str(error) == text


def test_a_name_that_is_no_text_is_answered_too() -> None:
    assert str(errors.UnknownQueueError(5, ["email"])).startswith("unknown queue 5")  # type: ignore[arg-type]


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    drawn: dict[str, list[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    (?P<branch>[│├└─ ]*)(?P<name>\w+Error)(?: \((?P<also>\w+)\))?", line)
        if found is None:
            continue
        path = [*path[: len(found["branch"]) // 4], found["name"]]
        parent = path[-2] if len(path) > 1 else "Exception"
        drawn[found["name"]] = [parent, *filter(None, [found["also"]])]

    real = {name: [base.__name__ for base in found.__bases__] for name, found in CLASSES.items()}

    assert drawn == real


def test_every_error_can_be_imported_from_the_package() -> None:
    assert set(CLASSES) <= set(asyncjobs.__all__)


def test_what_is_public_is_listed_and_what_is_listed_is_there() -> None:
    public = {name for name in dir(asyncjobs) if not name.startswith("_")}

    assert set(asyncjobs.__all__) == public
    assert all(hasattr(asyncjobs, name) for name in public)


def test_the_public_names_are_sorted() -> None:
    assert asyncjobs.__all__ == sorted(asyncjobs.__all__)
