"""Arguments become JSON and come back as what they were, or are refused by name."""

# No `from __future__ import annotations` here: jobs are defined inside the tests, with types
# that only the tests can see.

import enum
import json
import math
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
)

from asyncjobs.codec import ArgumentCodec
from asyncjobs.errors import ArgumentError, ConfigError, StoredArgumentsError

if TYPE_CHECKING:
    from somewhere import Invisible  # type: ignore[import-not-found]

NOON = datetime(2030, 6, 1, 12, 30, 15, 123_456, tzinfo=UTC)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Place(NamedTuple):
    street: str
    number: int = 1


@dataclass
class Item:
    title: str
    price: Decimal
    colour: Colour | None = None
    parts: list["Item"] = field(default_factory=list)


class Order(BaseModel):
    id: uuid.UUID
    at: AwareDatetime
    items: list[Item] = []
    note: str | None = None


def codec(function: Callable[..., Any]) -> ArgumentCodec:
    return ArgumentCodec("send", function)


def stored(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what the row will hold."""
    return json.loads(codec(function).encode(args, kwargs))


def there_and_back(function: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    converter = codec(function)
    return converter.decode(converter.encode(args, kwargs))


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Return why the arguments are refused."""
    with pytest.raises(ArgumentError) as caught:
        codec(function).encode(args, kwargs)
    assert caught.value.job == "send"
    return caught.value.problem


def takes(annotation: Any) -> Callable[..., Any]:
    def job(value): ...

    job.__annotations__["value"] = annotation
    return job


# What goes there and comes back


@pytest.mark.parametrize(
    ("annotation", "value", "as_json"),
    [
        (int, 7, 7),
        (int, -(2**70), -(2**70)),
        (float, 0.1, 0.1),
        (float, 7, 7.0),
        (str, "Grüße, 世界 🎉", "Grüße, 世界 🎉"),
        (str, r"no null: \u0000", r"no null: \u0000"),
        (str, "NaN and Infinity", "NaN and Infinity"),
        (bool, True, True),
        (None, None, None),
        (int | None, None, None),
        (int | str, "7", "7"),
        (bytes, b"plain", "plain"),
        (datetime, NOON, "2030-06-01T12:30:15.123456Z"),
        (datetime, NOON.replace(tzinfo=None), "2030-06-01T12:30:15.123456"),
        (date, date(2030, 6, 1), "2030-06-01"),
        (time, time(12, 30), "12:30:00"),
        (timedelta, timedelta(days=-1, microseconds=1), "-PT23H59M59.999999S"),
        (uuid.UUID, ID, str(ID)),
        (Decimal, Decimal("1.10"), "1.10"),
        (Path, Path("a/b"), "a/b"),
        (Colour, Colour.RED, "red"),
        (Colour, Colour.BLUE, 2),
        (Literal["all", 1], 1, 1),
        (list[int], [1, 2], [1, 2]),
        (Sequence[int], (1, 2), [1, 2]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (set[int], {5}, [5]),
        (frozenset[Colour], frozenset({Colour.BLUE}), [2]),
        (dict[int, date], {7: date(2030, 6, 1)}, {"7": "2030-06-01"}),
        (Place, Place("Elm", 4), ["Elm", 4]),
        (Any, {"a": [1, None, True, 1.5, "x"]}, {"a": [1, None, True, 1.5, "x"]}),
    ],
    ids=repr,
)
def test_a_value_of_the_annotated_type_comes_back_as_it_was(
    annotation: Any, value: Any, as_json: Any
) -> None:
    job = takes(annotation)

    assert stored(job, value) == {"value": as_json}
    back = there_and_back(job, value)["value"]
    # A sequence is stored as a list: its annotation asks for no more than that.
    assert back == (list(value) if annotation == Sequence[int] else value)


def test_dataclasses_may_nest() -> None:
    item = Item("bike", Decimal("99.90"), Colour.RED, [Item("wheel", Decimal(5))])

    assert there_and_back(takes(Item), item) == {"value": item}


def test_pydantic_models_may_hold_anything_annotated() -> None:
    order = Order(id=ID, at=NOON, items=[Item("bike", Decimal("99.90"), Colour.BLUE)])

    assert there_and_back(takes(dict[str, list[Order]]), {"new": [order]}) == {
        "value": {"new": [order]}
    }


def test_an_unannotated_parameter_takes_what_json_has() -> None:
    def job(value): ...

    assert there_and_back(job, {"a": [1, 2.5, None, "x"]}) == {"value": {"a": [1, 2.5, None, "x"]}}


def test_a_time_zone_comes_back_as_its_offset() -> None:
    value = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    back = there_and_back(takes(datetime), value)["value"]

    assert back == value
    assert back.utcoffset() == timedelta(hours=5, minutes=30)


# How arguments are stored


def test_arguments_are_stored_by_name_whichever_way_they_were_given() -> None:
    def job(first: int, second: str, *, third: bool): ...

    for args, kwargs in [
        ((1, "a"), {"third": True}),
        ((1,), {"third": True, "second": "a"}),
        ((), {"third": True, "second": "a", "first": 1}),
    ]:
        assert stored(job, *args, **kwargs) == {"first": 1, "second": "a", "third": True}


def test_defaults_are_not_stored() -> None:
    def job(first: int, second: int = 5, *, third: int = 6): ...

    assert stored(job, 1) == {"first": 1}
    assert stored(job, 1, third=6) == {"first": 1, "third": 6}


def test_a_none_that_was_given_is_stored() -> None:
    def job(value: int | None = 5): ...

    assert stored(job, None) == {"value": None}


def test_the_annotations_of_defaults_do_not_matter_until_they_are_given() -> None:
    marker: Any = object()

    def job(value: int = marker): ...

    assert stored(job) == {}


@pytest.mark.parametrize("name", ["self", "args", "model_config", "arguments", "_hidden", "copy"])
def test_a_parameter_may_have_any_name(name: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def job({name}: int): ...", space)

    assert there_and_back(space["job"], **{name: 7}) == {name: 7}


# What does not fit the function


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "missing a required argument: 'first'"),
        ((1,), {}, "missing a required argument: 'third'"),
        ((1, 2, 3), {"third": 4}, "too many positional arguments"),
        ((1,), {"third": 4, "fourth": 5}, "unexpected keyword argument 'fourth'"),
        ((1,), {"first": 2, "third": 4}, "multiple values for argument 'first'"),
    ],
)
def test_arguments_that_do_not_fit_the_signature_are_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], problem: str
) -> None:
    def job(first: int, second: int = 2, *, third: int): ...

    assert problem in refusal(job, *args, **kwargs)


@given(
    args=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    kwargs=st.dictionaries(st.sampled_from(["first", "second", "third", "fourth"]), st.just(7)),
)
def test_arguments_are_bound_as_python_binds_them(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    def job(first: int, second: int = 2, *, third: int = 3) -> None: ...

    problem = ""
    try:
        expected = codec(job).signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        problem = str(error)
    if problem:
        assert problem in refusal(job, *args, **kwargs)
    else:
        assert stored(job, *args, **kwargs) == expected


@given(number=st.integers(), text=st.text(), flag=st.booleans(), other=st.none() | st.integers())
def test_plain_values_come_back_without_a_look(
    number: int, text: str, flag: bool, other: int | None
) -> None:
    def job(number: int, text: str, *, flag: bool, other: int | None = 0) -> None: ...

    if "\0" in text:
        assert "null character" in refusal(job, number, text, flag=flag, other=other)
        return
    found = there_and_back(job, number, text, flag=flag, other=other)
    assert found == {"number": number, "text": text, "flag": flag, "other": other}


def test_an_integer_that_json_readers_do_not_take_is_refused_beside_plain_values() -> None:
    def job(number: int) -> None: ...

    assert there_and_back(job, 10**3_900) == {"number": 10**3_900}
    assert "argument" in refusal(job, 10**4_400)


@pytest.mark.parametrize(
    ("annotation", "value", "shown"),
    [
        (int, "7", "'7' (str)"),
        (int, True, "True (bool)"),
        (int, 1.0, "1.0 (float)"),
        (int, None, "None (NoneType)"),
        (float, "1.5", "'1.5' (str)"),
        (float, 10**400, "0… (int)"),
        (str, 7, "7 (int)"),
        (str, b"x", "b'x' (bytes)"),
        (str, 10**5000, "… (int)"),
        (bytes, "x", "'x' (str)"),
        (datetime, "2030-06-01", "'2030-06-01' (str)"),
        (AwareDatetime, NOON.replace(tzinfo=None), "(datetime)"),
        (uuid.UUID, str(ID), "(str)"),
        (Decimal, 1.1, "1.1 (float)"),
        (Colour, "red", "'red' (str)"),
        (Literal["all"], "none", "'none' (str)"),
        (Item, {"title": "bike", "price": "1"}, "(dict)"),
        (tuple[int, str], [1, "a"], "(list)"),
        (set[int], [1], "[1] (list)"),
        (Sequence[str], "abc", "'abc' (str)"),
        (Any, {1, 2}, "{1, 2} (set)"),
        (Any, (1, 2), "(1, 2) (tuple)"),
        (Any, b"x", "b'x' (bytes)"),
        (Any, NOON, "(datetime)"),
        (Any, object, "(type)"),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, int) else type(value).__name__,
)
def test_a_value_of_another_type_is_refused_by_name_and_shown(
    annotation: Any, value: Any, shown: str
) -> None:
    problem = refusal(takes(annotation), value)

    assert problem.startswith("argument 'value': ")
    assert problem.endswith(shown)


def test_every_wrong_argument_is_named() -> None:
    def job(good: int, bad: int, worse: str): ...

    problem = refusal(job, 1, "x", 2)

    assert "'bad'" in problem
    assert "'worse'" in problem
    assert "'good'" not in problem


def test_a_wrong_value_inside_of_another_is_pointed_at() -> None:
    problem = refusal(takes(dict[str, list[int]]), {"a": [1, "x"]})

    assert problem.startswith("argument 'value' at a.1: ")


def test_a_long_value_is_shown_shortened() -> None:
    assert len(refusal(takes(int), "x" * 100_000)) < 200


def test_a_value_whose_repr_fails_is_refused_all_the_same() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert refusal(takes(int), Broken()).endswith("got … (Broken)")


# What JSON or PostgreSQL does not have


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=repr)
@pytest.mark.parametrize(
    ("annotation", "wrap"),
    [
        (float, lambda value: value),
        (float | None, lambda value: value),
        (list[float], lambda value: [1.0, value]),
        (dict[str, float], lambda value: {"a": value}),
        (Any, lambda value: value),
        (Any, lambda value: {"a": [value]}),
        (dict, lambda value: {"a": value}),
        (Decimal, lambda value: Decimal(repr(value))),
    ],
)
def test_what_is_no_number_is_refused(
    annotation: Any, wrap: Callable[[float], Any], value: float
) -> None:
    assert "argument 'value'" in refusal(takes(annotation), wrap(value))


def test_what_is_no_number_is_refused_inside_of_dataclasses_and_models() -> None:
    @dataclass
    class Point:
        x: float

    class Size(BaseModel):
        width: float

    assert "'value' at x" in refusal(takes(Point), Point(math.nan))
    assert "'value' at width" in refusal(takes(Size), Size(width=math.nan))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "a\0b"),
        (bytes, b"\0"),
        (list[str], ["fine", "\0"]),
        (dict[str, int], {"\0": 1}),
        (Any, {"a": [{"b": "\0"}]}),
        (Item, Item("\0", Decimal(1))),
        (str, r"\u0000" + "\0"),
    ],
    ids=repr,
)
def test_null_characters_are_refused_by_name(annotation: Any, value: Any) -> None:
    problem = refusal(takes(annotation), value)

    assert problem == "argument 'value': PostgreSQL stores no null character"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(str, "\ud800"), (Any, ["\udfff"]), (dict[str, str], {"a": "\ud83d"}), (bytes, b"\xff\xfe")],
    ids=repr,
)
def test_text_that_has_no_utf_8_is_refused_by_name(annotation: Any, value: Any) -> None:
    def job(fine: int, value: annotation): ...

    assert refusal(job, 1, value).startswith("argument 'value' has no JSON")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (object, {1, 2}),
        (object, NOON),
        (dict, {"a": (1, 2)}),
        (dict[str, Any], {"a": date(2030, 6, 1)}),
        (list, [{1}]),
        (dict, {1: "a"}),
    ],
    ids=repr,
)
def test_what_would_come_back_as_something_else_is_refused(annotation: Any, value: Any) -> None:
    def job(fine: dict, value: annotation): ...

    problem = refusal(job, {}, value)

    assert problem.startswith("argument 'value' comes back different from JSON, as ")
    assert problem.endswith("annotate the parameter with its real type instead of Any")


class Parcel(Order):
    weight: int


@pytest.mark.parametrize(
    ("annotation", "value", "shown"),
    [
        (SecretStr, SecretStr("hunter2"), r"SecretStr\('\*+'\)"),
        (Order, Parcel(id=ID, at=NOON, weight=3), "Order"),  # without its weight
        (dict[int | str, int], {1: 1}, r"\{'1': 1\}"),
        (dict[int | str, int], {1: 1, "1": 2}, r"\{'1': 2\}"),
        (re.Pattern, re.compile("a", re.IGNORECASE), r"re.compile\('a'\)"),
    ],
    ids=repr,
)
def test_what_a_type_leaves_out_of_its_json_is_refused(
    annotation: Any, value: Any, shown: str
) -> None:
    def job(fine: int, value: annotation): ...

    problem = refusal(job, 1, value)

    assert re.match(f"argument 'value' comes back different from JSON, as {shown}", problem)
    assert "hunter2" not in problem


class Meeting(BaseModel):
    """Writes minutes, and reads seconds."""

    duration: timedelta

    @field_serializer("duration")
    def minutes(self, duration: timedelta) -> float:
        return duration.total_seconds() / 60


class Counter(BaseModel):
    """Writes one more than it reads."""

    count: int

    @model_serializer
    def advanced(self) -> dict[str, int]:
        return {"count": self.count + 1}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Meeting(duration=timedelta(minutes=60)), "duration=datetime.timedelta(seconds=60)"),
        (Counter(count=1), "count=2"),
    ],
    ids=repr,
)
def test_what_a_serializer_writes_as_something_else_than_is_read_is_refused(
    value: Any, shown: str
) -> None:
    one, many = takes(type(value)), takes(list[type(value)])

    assert refusal(one, value) == (
        f"argument 'value' comes back different from JSON, as {type(value).__name__}({shown}); "
        "annotate the parameter with a type that fits"
    )
    assert "comes back different from JSON" in refusal(many, [value])


class Token:
    """A type without an equality of its own."""

    def __init__(self, text: str) -> None:
        self.text = text


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Sequence[int], (1, 2)),
        (dict[str, Sequence[Place]], {"a": (Place("Main St"),)}),
        (
            Annotated[
                Token, PlainValidator(lambda v: v if isinstance(v, Token) else Token(v)),
                PlainSerializer(lambda token: token.text),
            ],
            Token("a"),
        ),
    ],
    ids=["list for sequence", "nested", "no equality"],
)  # fmt: skip
def test_what_is_the_same_or_cannot_be_compared_is_taken(annotation: Any, value: Any) -> None:
    found = codec(takes(annotation))

    assert found.decode(found.encode([value], {})).keys() == {"value"}


@pytest.mark.parametrize("annotation", [int, Any])
def test_an_integer_that_python_would_not_read_is_refused_by_name(annotation: Any) -> None:
    def job(fine: int, value: annotation): ...

    assert refusal(job, 1, 10**5_000).startswith("argument 'value' cannot be read back: ")


def test_a_loosely_annotated_parameter_takes_what_comes_back_the_same() -> None:
    value = {"a": [1, 2.5, None, {"b": "c"}]}

    assert there_and_back(takes(dict), value) == {"value": value}
    assert there_and_back(takes(object), value) == {"value": value}


def test_a_value_without_json_is_refused_by_name() -> None:
    lock = threading.Lock()

    assert refusal(takes(object), lock).startswith("argument 'value' has no JSON: ")


def test_an_object_that_no_longer_is_what_its_class_says_is_refused() -> None:
    wrong: Any = "dear"
    order = Order(id=ID, at=NOON)
    order.id = wrong

    assert "argument 'value' at price" in refusal(takes(Item), Item("bike", wrong))
    assert "argument 'value' at id" in refusal(takes(Order), order)


@pytest.mark.parametrize("annotation", [int, Any, dict[str, Any]], ids=repr)
def test_an_int_of_thousands_of_digits_is_refused_and_one_of_hundreds_is_not(
    annotation: Any,
) -> None:
    wrap = (lambda value: {"a": value}) if annotation == dict[str, Any] else lambda value: value

    assert there_and_back(takes(annotation), wrap(10**400)) == {"value": wrap(10**400)}
    assert "number out of range" in refusal(takes(annotation), wrap(10**5000))


@pytest.mark.parametrize("depth", [250, 1_000, 100_000])
@pytest.mark.parametrize("annotation", [Any, list, object], ids=repr)
def test_what_is_nested_too_deep_is_refused(annotation: Any, depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]

    problem = refusal(takes(annotation), value)

    assert re.search("recursion|depth", problem)
    assert len(problem) < 400


def test_a_hundred_levels_are_not_too_deep() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]

    assert there_and_back(takes(Any), value) == {"value": value}


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    item = Item("bike", Decimal(1))
    item.parts.append(item)

    assert "argument 'value'" in refusal(takes(Any), loop)
    assert "argument 'value'" in refusal(takes(Item), item)


def test_an_error_of_the_arguments_own_validator_names_the_argument() -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def check(cls, number: int, info: ValidationInfo) -> int:
            if number % 2:
                raise ValueError("must be even")
            return number

    odd = Even.model_construct(number=3)

    assert "argument 'value' at number: value error, must be even" in refusal(takes(Even), odd)


def test_a_model_that_is_stored_under_other_names_than_it_reads_is_refused() -> None:
    class Lopsided(BaseModel):
        size: int = Field(serialization_alias="written", validation_alias="read")

    value = Lopsided(read=5)  # type: ignore[call-arg]

    assert "argument 'value' at read: field required" in refusal(takes(Lopsided), value)


# What stands in rows that an earlier program stored


def test_stored_arguments_are_read_leniently() -> None:
    def job(number: int, amount: Decimal): ...

    assert codec(job).decode('{"number": "7", "amount": 1.5}') == {
        "number": 7,
        "amount": Decimal("1.5"),
    }


def test_parameters_may_be_reordered_and_new_ones_may_have_defaults() -> None:
    def before(first: int, second: str): ...

    def after(second: str, first: int, third: bool = True): ...

    row = codec(before).encode((1, "a"), {})

    assert codec(after).decode(row) == {"first": 1, "second": "a"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{}", "argument 'user': field required"),
        ('{"user": 1, "gone": 2}', "argument 'gone': extra inputs are not permitted"),
        ('{"user": "hunter2"}', "argument 'user': input should be a valid integer"),
        ('{"user": null}', "argument 'user': input should be a valid integer"),
        ('{"user": 1, "more": [1, "hunter2"]}', "argument 'more' at 1: input should be"),
        ("[1]", "arguments: "),
        ("null", "arguments: "),
        ('{"user"', "arguments: invalid JSON"),
    ],
)
def test_stored_arguments_that_no_longer_fit_are_named_but_not_shown(
    row: str, problem: str
) -> None:
    def job(user: int, more: list[int] = []): ...  # noqa: B006

    with pytest.raises(StoredArgumentsError) as caught:
        codec(job).decode(row)

    assert problem in caught.value.problem
    assert "hunter2" not in str(caught.value)
    assert caught.value.job == "send"


# What cannot be a parameter


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def job(*values: int): ...", "*values: int"),
        ("def job(**values: int): ...", "**values: int"),
        ("def job(value: int, /): ...", "value: int"),
    ],
)
def test_a_parameter_without_a_name_of_its_own_is_refused(source: str, shown: str) -> None:
    space: dict[str, Any] = {}
    exec(source, space)

    with pytest.raises(ConfigError) as caught:
        codec(space["job"])

    assert f"the parameter {shown} cannot be stored by name" in str(caught.value)


@pytest.mark.parametrize("annotation", [threading.Thread, list[threading.Thread]], ids=repr)
def test_a_type_without_json_is_refused_when_the_job_is_defined(annotation: Any) -> None:
    def job(before: int, value: Any, after: str = ""): ...

    job.__annotations__["value"] = annotation
    told = r"job 'send': the type of parameter 'value' has no JSON: .*Thread"
    with pytest.raises(ConfigError, match=told):
        codec(job).prepare()


def test_an_annotation_that_only_type_checkers_see_is_an_error_when_it_is_needed() -> None:
    def job(user: "Invisible"): ...

    converter = codec(job)
    converter.prepare()  # the name may be defined below the job

    with pytest.raises(ArgumentError, match=r"resolved at run time: name 'Invisible' is not def"):
        converter.encode((1,), {})
    with pytest.raises(StoredArgumentsError, match="'Invisible'"):
        converter.decode('{"user": 1}')


def test_an_annotation_may_be_defined_below_the_job() -> None:
    space: dict[str, Any] = {}
    exec("def job(user: 'Below'): ...", space)
    converter = codec(space["job"])
    converter.prepare()
    space["Below"] = int

    assert json.loads(converter.encode((7,), {})) == {"user": 7}


# Properties

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=offsets)
items = st.recursive(
    st.builds(Item, texts, st.decimals(allow_nan=False, allow_infinity=False), parts=st.just([])),
    lambda inner: st.builds(
        Item,
        texts,
        st.decimals(allow_nan=False, allow_infinity=False),
        st.sampled_from(Colour) | st.none(),
        st.lists(inner, max_size=2),
    ),
    max_leaves=5,
)


@given(value=json_values)
@settings(deadline=None)
def test_whatever_json_has_comes_back_from_an_unannotated_parameter(value: Any) -> None:
    def job(value): ...

    assert there_and_back(job, value) == {"value": value}


@given(
    at=moments,
    key=st.uuids(),
    items=st.lists(items, max_size=2),
    waits=st.dictionaries(st.integers(), st.timedeltas(timedelta(days=-9_999), timedelta(9_999))),
    day=st.dates() | st.none(),
    colours=st.frozensets(st.sampled_from(Colour)),
    numbers=st.tuples(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
)
@settings(deadline=None)
def test_whatever_fits_its_annotation_comes_back_as_it_was(**arguments: Any) -> None:
    def job(
        at: datetime,
        key: uuid.UUID,
        *,
        items: list[Item],
        waits: dict[int, timedelta],
        day: date | None,
        colours: frozenset[Colour],
        numbers: tuple[int, float],
    ): ...

    assert there_and_back(job, **arguments) == arguments


anything = st.recursive(
    st.none()
    | st.floats()
    | st.text()
    | st.binary()
    | st.integers()
    | st.complex_numbers()
    | st.decimals()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner)
    ),
)


@given(
    value=anything,
    annotation=st.sampled_from(
        [Any, object, int, float, str, bytes, Decimal, datetime, dict, list[float], Item, Colour]
    ),
)
@settings(deadline=None)
def test_whatever_is_given_is_refused_by_an_argument_error_or_can_be_run(
    value: Any, annotation: Any
) -> None:
    converter = codec(takes(annotation))
    try:
        row = converter.encode((value,), {})
    except ArgumentError:
        return
    assert converter.decode(row)["value"] == value
    assert "\\u0000" not in row.replace("\\\\", "")
    json.loads(row, parse_constant=pytest.fail)
