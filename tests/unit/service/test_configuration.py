"""Settings are loaded from their sources in order, and nothing unknown or wrong is let through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from statera.service.configuration import ConfigurationError, load
from statera.service.settings import option


@dataclass(frozen=True)
class Sample:
    """One option of each type."""

    name: str = option("a", "A name.")
    size: int = option(3, "A size.", min=1, max=9)
    rate: float = option(0.5, "A rate.", min=0.0)
    on: bool = option(False, "A switch.")
    place: Path = option(Path("/here"), "A path.")  # noqa: RUF009
    maybe: str | None = option(None, "Perhaps a word.")
    colours: tuple[str, ...] = option(("red", "blue"), "Several words.")
    kind: str = option("big", "One of two.", choices=("big", "small"))
    pin: int = option(0, "A number to keep.", secret=True)


@dataclass(frozen=True)
class Plain:
    """Stands in the file's [DEFAULT]."""

    debug: bool = option(False, "Talk more.")


CLASSES: dict[str, type[object]] = {"DEFAULT": Plain, "sample": Sample}


def write(folder: Path, text: str, name: str = "statera.conf") -> Path:
    """Write a configuration file."""
    path = folder / name
    path.write_text(text)
    return path


def sample(folder: Path, text: str) -> Sample:
    """Return the settings that one file gives."""
    loaded = load(CLASSES, [write(folder, text)], {}, {})["sample"]
    assert isinstance(loaded, Sample)
    return loaded


def test_defaults(tmp_path: Path) -> None:
    """Without any source, and with a file that is missing, every option has its default."""
    assert load(CLASSES, [tmp_path / "none"], {}, {}) == {"DEFAULT": Plain(), "sample": Sample()}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("name = word", Sample(name="word")),
        ("size = 9", Sample(size=9)),
        ("rate = 2", Sample(rate=2.0)),
        ("on = true", Sample(on=True)),
        ("on = 1", Sample(on=True)),
        ("place = /there/it is", Sample(place=Path("/there/it is"))),
        ("maybe = yes", Sample(maybe="yes")),
        ("colours = green, grey", Sample(colours=("green", "grey"))),
        ("colours =", Sample(colours=())),
        ("kind = small", Sample(kind="small")),
        ("# size = 1", Sample()),
    ],
)
def test_values(tmp_path: Path, line: str, wanted: Sample) -> None:
    """Each type is read from the file into the type of the field."""
    assert sample(tmp_path, f"[sample]\n{line}\n") == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sample]\nsizes = 3\n", ["[sample] sizes", "did you mean size?"]),
        ("[sample]\nzzzz = 3\n", ["unknown option [sample] zzzz"]),
        ("[smaple]\nsize = 3\n", ["unknown group [smaple]", "did you mean sample?"]),
        ("[DEFAULT]\ndevug = True\n", ["[DEFAULT] devug", "did you mean debug?"]),
        ("[sample]\nsize = many\n", ["[sample] size", "many"]),
        ("[sample]\nsize = 10\n", ["[sample] size", "9"]),
        ("[sample]\nrate = -1\n", ["[sample] rate"]),
        ("[sample]\non = perhaps\n", ["[sample] on", "perhaps"]),
        ("[sample]\nkind = tiny\n", ["[sample] kind", "tiny"]),
        ("[sample\nsize = 1\n", ["cannot be read"]),
        ("size = 1\n", ["cannot be read"]),
    ],
)
def test_refusals(tmp_path: Path, text: str, words: list[str]) -> None:
    """A bad file refuses to start, and the message names file, option and what was meant."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(CLASSES, [path], {}, {})
    message = str(caught.value)
    assert str(path) in message
    assert "LocationInfo" not in message
    for word in words:
        assert word in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Two unknown names are two problems of one refusal."""
    path = write(tmp_path, "[sample]\nsizes = 3\nraet = 1\n")
    with pytest.raises(ConfigurationError) as caught:
        load(CLASSES, [path], {}, {})
    assert len(caught.value.problems) == 2


def test_order_of_sources(tmp_path: Path) -> None:
    """Later files win over earlier ones, the environment over files, arguments over all."""
    first = write(tmp_path, "[sample]\nsize = 1\nname = one\nrate = 1\nmaybe = f\n", "first")
    second = write(tmp_path, "[sample]\nname = two\nrate = 2\nmaybe = s\n", "second")
    environment = {"OS_SAMPLE__RATE": "3", "OS_SAMPLE__MAYBE": "e", "OS_DEFAULT__DEBUG": "true"}
    loaded = load(CLASSES, [first, second], {"sample.maybe": "a"}, environment)
    assert loaded["sample"] == Sample(size=1, name="two", rate=3.0, maybe="a")
    assert loaded["DEFAULT"] == Plain(debug=True)


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ({"sample.sizes": "1"}, {}, ["command line", "did you mean size?"]),
        ({"sample.size": "x"}, {}, ["command line", "[sample] size"]),
        ({}, {"OS_SAMPLE__SIZES": "1"}, ["OS_SAMPLE__SIZES", "did you mean size?"]),
        ({}, {"OS_SAMPLE__SIZE": "99"}, ["OS_SAMPLE__SIZE", "[sample] size"]),
    ],
)
def test_other_sources_are_strict_too(
    arguments: dict[str, str], environment: dict[str, str], words: list[str]
) -> None:
    """A wrong argument or variable refuses to start and is named."""
    with pytest.raises(ConfigurationError) as caught:
        load(CLASSES, [], arguments, environment)
    for word in words:
        assert word in str(caught.value)


def test_foreign_variables_are_not_ours() -> None:
    """Variables of OpenStack clients and of groups that we do not have are left alone."""
    environment = {"OS_AUTH_URL": "x", "OS_OTHER__SIZE": "1", "OS_CLOUD": "y"}
    assert load(CLASSES, [], {}, environment)["sample"] == Sample()


def test_groups_of_others_are_not_looked_at(tmp_path: Path) -> None:
    """A group that is known but not asked for may hold anything; one that nobody knows may not."""
    path = write(tmp_path, "[sample]\nsize = 4\n[other]\nanything = 1\n")
    arguments = {"other.thing": "x", "sample.name": "n"}
    loaded = load(CLASSES, [path], arguments, {"OS_OTHER__THING": "y"}, foreign={"other"})
    assert loaded["sample"] == Sample(size=4, name="n")
    with pytest.raises(ConfigurationError):
        load(CLASSES, [path], {}, {})


@pytest.mark.parametrize("name", ["passwrod", "pin"])
def test_secret_values_stay_out_of_messages(tmp_path: Path, name: str) -> None:
    """Neither an unknown option (a misspelt password?) nor a bad secret is shown with its value."""
    path = write(tmp_path, f"[sample]\n{name} = hunter2\n")
    with pytest.raises(ConfigurationError) as caught:
        load(CLASSES, [path], {}, {})
    assert "hunter2" not in str(caught.value)
