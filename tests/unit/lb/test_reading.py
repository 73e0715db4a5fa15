"""Reading requests: what each kind takes, what null does, in whose words it is refused."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest

from statera.lb.declare import (
    ABSENT,
    CLEAR,
    DEFAULT,
    FALSE,
    NO,
    REFUSE,
    REQUIRED,
    RESET,
    Attr,
    Configured,
    Info,
    Part,
    Resource,
    attributes,
    output,
    related,
    reply_of,
    schema_of,
    stored,
)
from statera.lb.errors import InvalidInput
from statera.lb.kinds import (
    IDENTITY,
    REFERENCES,
    Address,
    Boolean,
    Choice,
    Cidr,
    Integer,
    Kind,
    Listing,
    Number,
    Strings,
    Text,
    UnparsableError,
    Uuid,
)
from statera.lb.reading import Reader, Values

UUID = "0b1c2d3e-4f50-4a6b-8c7d-8e9fa0b1c2d3"


def _refused(name: str, value: object, detail: str) -> str:
    return f"Invalid input for field/attribute {name}. Value: '{value}'. {detail}"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Text(), "", ""),
        (Text(), "schön\n☃", "schön\n☃"),
        (Text(3), "abc", "abc"),
        (Uuid(), UUID, UUID),
        (Uuid(), UUID.upper(), UUID.upper()),
        (Uuid(), UUID.replace("-", ""), UUID.replace("-", "")),
        (Integer(1, 100), 88, 88),
        (Integer(1, 100), "88", 88),
        (Integer(1, 100), 89.5, 89),
        (Integer(1, 100), True, 1),
        (Boolean(), "Yes", True),
        (Boolean(), " off ", False),
        (Boolean(), 0, False),
        (Boolean(), 2.5, True),
        (Choice(("A", "B")), "B", "B"),
        (Number((1.0, 1.1)), "1.1", 1.1),
        (Number((1.0, 1.1)), 1, 1.0),
        (Address(), "10.0.0.1", "10.0.0.1"),
        (Address(), "FE80::A", "FE80::A"),
        (Cidr(), "10.1.2.3/8", "10.0.0.0/8"),
        (Cidr(), "fd00::1", "fd00::1/128"),
        (Listing(Text(), unique=True), ["b", "a", "b"], ["b", "a"]),
        (Strings(), {"a": "b"}, {"a": "b"}),
    ],
)
def test_values_taken(kind: Kind, value: object, expected: object) -> None:
    """With the leniency that clients know."""
    assert kind.parse("x", value) == expected


BIG = f"{'9' * 5000}"


@pytest.mark.parametrize(
    ("kind", "value", "detail"),
    [
        (Text(), 1, "Value should be string"),
        (Text(), "a\x00", "Value should not contain NUL characters"),
        (Text(3), "abcd", "Value should have a maximum character requirement of 3"),
        (Text(3, 1), "", "Value should have a minimum character requirement of 1"),
        (Uuid(), "x", "Value should be UUID format"),
        (Uuid(), f"{{{UUID}}}", "Value should be UUID format"),
        (Uuid(), f"urn:uuid:{UUID}", "Value should be UUID format"),
        (Uuid(), UUID.replace("1", "\uff11"), "Value should be UUID format"),
        (Uuid(), 7, "Value should be UUID format"),
        (Integer(1, 9), 0, "Value should be greater or equal to 1"),
        (Integer(1, 9), 10, "Value should be lower or equal to 9"),
        (Integer(), 2**31, "Value should be lower or equal to 2147483647"),
        (Boolean(), "maybe", "Value not an unambiguous boolean: maybe"),
        (Boolean(), [], "Value not an unambiguous boolean: []"),
        (Choice(("A", "B")), "a", "Value should be one of: A, B"),
        (Choice(("A", "B")), [], "Value should be one of: A, B"),
        (Number((1.0, 1.1)), True, "Value should be one of: 1.0, 1.1"),
        (Number((1.0, 1.1)), "nan", "Value should be one of: 1.0, 1.1"),
        (Address(), "10.0.0.01", "Value should be IPv4 or IPv6 format"),
        (Address(), "10.0.0.1\n", "Value should be IPv4 or IPv6 format"),
        (Address(), "fe80::1%eth0", "Value should be IPv4 or IPv6 format"),
        (Address(), 167772161, "Value should be IPv4 or IPv6 format"),
        (Cidr(), "10.0.0.0/33", "Value should be IPv4 or IPv6 CIDR format"),
        (Listing(Text()), "a", "Value not a valid list: a"),
        (Strings(), [], "Value not a valid dict: []"),
    ],
)
def test_values_refused(kind: Kind, value: object, detail: str) -> None:
    """In the API's words."""
    with pytest.raises(InvalidInput) as caught:
        kind.parse("x", value)
    assert caught.value.text == _refused("x", value, detail)


@pytest.mark.parametrize("value", ["abc", "", [], {}, "1.5", BIG])
def test_what_is_no_integer_at_all(value: object) -> None:
    """Is blamed on the whole argument."""
    with pytest.raises(UnparsableError):
        Integer().parse("x", value)


class Wheel(Resource, frozen=True, kw_only=True):
    """A part."""

    size: Annotated[int, Attr(Integer(1, 30), "Inches", create=REQUIRED)]
    colour: Annotated[str | None, Attr(Text(), "Colour", tree=NO)] = None


WHEELS = Attr(Part(lambda: Wheel, many=True), "Wheels", default=[], stored=False)


def _null(on_create: Any, on_update: Any, **more: Any) -> Attr:
    nulls = {"null_on_create": on_create, "null_on_update": on_update}
    return Attr(Integer(), "Number", update=True, default=7, **nulls, **more)


class Cart(Resource, frozen=True, kw_only=True):
    """A resource that uses everything the mechanism has."""

    info: ClassVar[Info] = Info(root="cart", plural="carts", argument="cart_", title="Cart")
    hidden: int = 0

    id: Annotated[str, output(IDENTITY, "Id")]
    name: Annotated[str | None, Attr(Text(), "Name", update=True, default="", blank=True)] = ""
    owner: Annotated[str, Attr(Text(), "Owner", create=REQUIRED)]
    project_id: Annotated[str, Attr(Text(36), "Project", tree=NO)] = ""
    cleared: Annotated[int | None, _null(CLEAR, CLEAR)] = 7
    defaulted: Annotated[int, _null(DEFAULT, DEFAULT)] = 7
    falsified: Annotated[bool, _null(FALSE, FALSE)] = False
    ignored: Annotated[int, _null(CLEAR, ABSENT)] = 7
    refused: Annotated[int, _null(REFUSE, REFUSE)] = 7
    reset: Annotated[int, _null(CLEAR, RESET, reset=Configured("speed"))] = 7
    speed: Annotated[int, Attr(Integer(), "Speed", default=Configured("speed"))] = 0
    labels: Annotated[list[str], Attr(Listing(Text()), "Labels", default=[])] = []
    spares: Annotated[list[str], Attr(Listing(Text()), "Spares", null_when_empty=True)] = []
    driver: Annotated[str | None, related(IDENTITY, "Driver", omitted=True)] = None
    wheels: Annotated[list[Any], WHEELS] = []
    mates: Annotated[list[str], related(REFERENCES, "Mates")] = []


READER = Reader(Cart, Cart.info, {"speed": 50})


def test_a_creation_has_every_accepted_attribute() -> None:
    """Defaults where nothing was given; lists are fresh every time."""
    first = READER.create({"cart": {"owner": "me"}})
    assert first == {
        "name": "",
        "owner": "me",
        "project_id": None,
        "cleared": 7,
        "defaulted": 7,
        "falsified": 7,
        "ignored": 7,
        "refused": 7,
        "reset": 7,
        "speed": 50,
        "labels": [],
        "spares": None,
        "wheels": [],
    }
    assert first.given == {"owner"}
    first["labels"].append("x")
    assert READER.create({"cart": {"owner": "me"}})["labels"] == []


def test_what_null_does_on_creation() -> None:
    """Clear, default, false; refusals name the attribute."""
    names = ("cleared", "defaulted", "falsified", "reset", "name")
    values = READER.create({"cart": {"owner": "me", **dict.fromkeys(names)}})
    assert [values[name] for name in names] == [None, 7, False, None, None]
    with pytest.raises(InvalidInput, match="None is not a valid option for refused"):
        READER.create({"cart": {"owner": "me", "refused": None}})


def test_what_null_does_on_update() -> None:
    """Reset restores the configured value; absent is as if it were not named."""
    names = ("cleared", "defaulted", "falsified", "ignored", "reset")
    values = READER.update({"cart": dict.fromkeys(names)})
    assert values == {"cleared": None, "defaulted": 7, "falsified": False, "reset": 50}
    assert values.given == set(names)


def test_an_update_holds_what_it_names() -> None:
    """And nothing else."""
    assert READER.update({"cart": {}}) == {}
    assert READER.update({"cart": {"name": "x"}}) == {"name": "x"}


def test_tenants_are_projects() -> None:
    """The alias wins where both are given."""
    given = {"owner": "me", "project_id": "a", "tenant_id": "b"}
    assert READER.create({"cart": given})["project_id"] == "b"
    assert READER.create({"cart": {**given, "tenant_id": None}})["project_id"] == "a"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], _refused("cart_", "[]", "Value not a valid dict: []")),
        (None, _refused("cart_", None, "Value not a valid dict: None")),
        ({}, _refused("cart", None, "Mandatory field missing.")),
        ({"cart": None}, _refused("cart", None, "Mandatory field missing.")),
        ({"cart": "x"}, _refused("cart_", "{'cart': 'x'}", "Value not a valid dict: x")),
        ({"cart": {}}, _refused("owner", None, "Mandatory field missing.")),
        ({"cart": {"owner": None}}, _refused("owner", None, "Mandatory field missing.")),
        ({"car": {}}, "Unknown attribute for argument cart_: car"),
        ({"cart": {"b": 1, "a": 2}}, "Unknown attribute for argument cart_.cart: a, b"),
        ({"cart": {"hidden": 1}}, "Unknown attribute for argument cart_.cart: hidden"),
        (
            {"cart": {"owner": "me", "wheels": [{"size": 1, "colour": "red"}]}},
            "Unknown attribute for argument cart_.cart.wheels: colour",
        ),
        (
            {"cart": {"owner": "me", "wheels": [{"size": 31}]}},
            _refused("size", 31, "Value should be lower or equal to 30"),
        ),
        (
            {"cart": {"owner": "me", "wheels": 1}},
            _refused("wheels", 1, "Value not a valid list: 1"),
        ),
        (
            {"cart": {"owner": "me", "wheels": [1]}},
            _refused("wheels", 1, "Value not a valid dict: 1"),
        ),
        (
            {"cart": {"owner": "me", "cleared": "x"}},
            _refused(
                "cart_",
                "{'cart': {'owner': 'me', 'cleared': 'x'}}",
                "invalid literal for int() with base 10: 'x'",
            ),
        ),
    ],
)
def test_creations_refused(body: object, text: str) -> None:
    """The first error in order of declaration."""
    with pytest.raises(InvalidInput) as caught:
        READER.create(body)
    assert caught.value.text == text


def test_parts_are_read_with_their_own_defaults() -> None:
    """And know what was given."""
    (wheel,) = READER.create({"cart": {"owner": "me", "wheels": [{"size": "3"}]}})["wheels"]
    assert isinstance(wheel, Values)
    assert (wheel, wheel.given) == ({"size": 3}, {"size"})


def test_batches_are_lists_of_creations() -> None:
    """Under the plural."""
    first, second = READER.batch({"carts": [{"owner": "a"}, {"owner": "b"}]})
    assert (first["owner"], second["owner"]) == ("a", "b")


def test_replies_show_what_is_declared() -> None:
    """Blank for null, null for empty, omitted when null, tenant beside project."""
    row: dict[str, Any] = dict.fromkeys(attributes(Cart)) | {"project_id": "p", "spares": []}
    reply = reply_of(Cart, {**row, "hidden": 3})
    assert (reply["name"], reply["spares"]) == ("", None)
    assert (reply["tenant_id"], reply["project_id"]) == ("p", "p")
    assert "driver" not in reply
    assert "hidden" not in reply
    assert reply_of(Cart, {**row, "driver": "d", "spares": ["s"]})["driver"] == "d"


def test_stored_attributes_are_those_with_a_column() -> None:
    """Derived ones have none."""
    assert set(attributes(Cart)) - set(stored(Cart)) == {"driver", "wheels", "mates"}


def test_schemas_follow_the_declaration() -> None:
    """Per use: what it takes, what it requires, whether more is allowed."""
    create = schema_of(Cart, use="create")
    assert create["required"] == ["owner"]
    assert not create["additionalProperties"]
    assert create["properties"]["cleared"]["maximum"] == 2**31 - 1
    assert create["properties"]["wheels"]["items"]["properties"].keys() == {"size"}
    update = schema_of(Cart, use="update")
    assert "owner" not in update["properties"]
    assert "required" not in update
    reply = schema_of(Cart, use="reply")
    assert {"id", "mates", "driver"} <= reply["properties"].keys()
    assert reply["properties"]["mates"]["items"]["properties"]["id"]["format"] == "uuid"
