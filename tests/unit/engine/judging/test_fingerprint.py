"""Fingerprints: the inputs of a station, reduced to named digests."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_choochoo import Station, station
from pytest_choochoo.engine.digest import KeyedDigests, digest_file, digest_parts, digest_value
from pytest_choochoo.engine.errors import (
    ChoochooError,
    MissingFile,
    NotAFile,
    Undigestable,
)
from pytest_choochoo.engine.judging import fingerprint
from pytest_choochoo.engine.ledger.record import FORM, Fingerprint
from pytest_choochoo.engine.route import StationInstance

KEYED = KeyedDigests(lambda: b"k" * 32)


class Colour(Enum):
    RED = "red"


def _station(
    folder: Path, parameters: Mapping[str, object] | None = None, **keywords: Any
) -> StationInstance:
    names: dict[str, Any] = {"__name__": "stations"}
    exec(compile("def boil(): ...", str(folder / "stations.py"), "exec"), names)
    made: Station[None] = station(**keywords)(names["boil"])
    return StationInstance(key="boil", name="boil", station=made, parameters=parameters or {})


def _take(
    made: StationInstance, parameters: Mapping[str, object] | None = None, **inputs: Any
) -> Fingerprint:
    names = ("upstream", "upstream_products", "renewals", "code", "values")
    given: dict[str, Any] = {name: {} for name in names} | {"keyed": KEYED}
    instance = replace(made, parameters=parameters or made.parameters)
    return fingerprint.take(instance, **{**given, **inputs})


def _files(folder: Path, *patterns: str) -> dict[str, str]:
    return _take(_station(folder, files=patterns)).files


def _write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- values


def _local() -> type:
    class Local:
        pass

    return Local


def _endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def _deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(5000):
        made = [made]
    return made


TOO_DEEP = "list, which contains itself or is nested too deeply"


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        pytest.param(object(), "object", id="object"),
        pytest.param([1, {"a": object()}], "object", id="inside"),
        pytest.param({Path: len}, "builtin_function_or_method", id="function"),
        pytest.param(_local(), "_local.<locals>.Local", id="local class"),
        pytest.param(range(3), "range", id="range"),
        pytest.param(_endless(), TOO_DEEP, id="contains itself"),
        pytest.param(_deep(), TOO_DEEP, id="nested"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "named"),
    [("parameters", "parameter 'kettle'"), ("values", "value of fixture 'kettle'")],
    ids=["parameter", "value"],
)
def test_value_without_digest_is_named(
    tmp_path: Path, value: object, type_: str, kind: str, named: str
) -> None:
    """A value that has no stable digest is an error with station, value and type."""
    with pytest.raises(Undigestable) as caught:
        _take(_station(tmp_path), **{kind: {"kettle": value}})

    assert caught.value.args == ("boil", named, type_)


# --- fingerprints


def test_fingerprint_has_all_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each input has its digest under its own name, and a hint if it may be shown."""
    monkeypatch.setenv("HEAT", "high")
    _write(tmp_path / "water.txt", "cold")
    made = _station(tmp_path, files=["water.txt"], env=["HEAT"])

    taken = _take(
        made,
        upstream={"grind": "1"},
        upstream_products={"flour of grind": "3"},
        renewals={"plough": "4"},
        parameters={"degrees": 90},
        code={"stations.py::boil": "2"},
        values={"kettle": "blue"},
    )

    assert taken == Fingerprint(
        upstream={"grind": "1"},
        upstream_products={"flour of grind": "3"},
        renewals={"plough": "4"},
        files=taken.files,
        env=KEYED.of({"HEAT": digest_parts(b"high")}),
        values={"kettle": digest_value("blue")},
        parameters={"degrees": digest_value(90)},
        code={"stations.py::boil": "2"},
        hints={"parameter degrees": "90", "value kettle": "'blue'"},
        form=FORM,
        key=KEYED.name,
    )
    assert taken.files == KEYED.of({"water.txt": digest_file(tmp_path / "water.txt")})


@pytest.mark.parametrize(
    ("keywords", "upstream_products"),
    [
        ({"files": ["water.txt"]}, {}),
        ({"env": ["HEAT"]}, {}),
        ({"products": ["tea.txt"]}, {}),
        ({}, {"flour of grind": "1"}),
        ({"env": ["HEAT"], "parameters": {"HEAT": 1}, "version": "1"}, {}),
    ],
    ids=["files", "env", "products", "upstream", "more"],
)
def test_fingerprint_names_its_key(
    tmp_path: Path, keywords: dict[str, Any], upstream_products: dict[str, str]
) -> None:
    """A fingerprint with anything that is keyed, the products to come included, has the key's name."""
    _write(tmp_path / "water.txt")
    parameters = keywords.pop("parameters", {})
    made = _station(tmp_path, parameters, **keywords)

    taken = _take(made, upstream_products=upstream_products)

    assert taken.key == KEYED.name


def test_key_is_not_read_without_need(tmp_path: Path) -> None:
    """A station without env, files and products needs no key."""

    def read() -> bytes:
        raise AssertionError("the key is read")

    taken = _take(_station(tmp_path), parameters={"degrees": 90}, keyed=KeyedDigests(read))

    assert taken.key == ""


def test_version_takes_the_place_of_code(tmp_path: Path) -> None:
    """If a version is declared, the code is not an input."""
    made = _station(tmp_path, version="3")

    assert _take(made, code={"stations.py::boil": "2"}).code == {"version": "3"}


def test_values_may_be_unknown(tmp_path: Path) -> None:
    """Unknown values are not the same as no values."""
    made = _station(tmp_path)

    assert (_take(made, values=None).values, _take(made, values={}).values) == (None, {})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        pytest.param("a\nb", r"'a\nb'", id="text"),
        pytest.param("x" * 70, f"'{'x' * 56}...", id="long"),
        pytest.param(Colour.RED, "<Colour.RED: 'red'>", id="enum"),
    ],
)
def test_hint_is_short(tmp_path: Path, value: object, hint: str) -> None:
    """The hint of a value fits on a line."""
    taken = _take(_station(tmp_path), parameters={"a": value})

    assert taken.hints == {"parameter a": hint}


@pytest.mark.parametrize("value", ["", "x", "\udce9"], ids=["empty", "text", "bytes"])
def test_variable_is_digested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A variable that is set differs from one that is not, and its value is not shown."""
    made = _station(tmp_path, env=["HEAT"])
    monkeypatch.delenv("HEAT", raising=False)
    unset = _take(made).env
    monkeypatch.setenv("HEAT", value)

    now = _take(made)

    assert unset == {"HEAT": ""}
    assert now.env == KEYED.of({"HEAT": digest_parts(os.fsencode(value))})
    assert now.hints == {}


# --- files


def test_file_is_compared_by_content(tmp_path: Path) -> None:
    """A file that was touched is unchanged, one that was altered in place is not."""
    path = _write(tmp_path / "water.txt", "cold")
    before = _files(tmp_path, "water.txt")
    os.utime(path, (0, 0))
    touched = _files(tmp_path, "water.txt")
    stat = path.stat()
    _write(path, "warm")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    altered = _files(tmp_path, "water.txt")

    assert touched == before
    assert altered != before


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        pytest.param(["*.txt"], ["a.txt", "b.txt"], id="glob"),
        pytest.param(["a.*", "?.txt"], ["a.txt", "b.txt"], id="overlapping globs"),
        pytest.param(["[ab].txt"], ["a.txt", "b.txt"], id="choice"),
        pytest.param(["*"], ["a.txt", "b.txt", "data[1].csv"], id="files only"),
        pytest.param(["data[1].csv"], ["data[1].csv"], id="name with brackets"),
        pytest.param(["**/*.txt"], ["a.txt", "b.txt", "sub/c.txt", "sub/sub/d.txt"], id="below"),
        pytest.param(["sub/**"], ["sub/c.txt", "sub/sub/d.txt"], id="two stars at the end"),
        pytest.param(["sub/*"], ["sub/c.txt"], id="in a folder"),
        pytest.param(["../kitchen/*.txt"], ["../kitchen/a.txt", "../kitchen/b.txt"], id="above"),
        pytest.param(["*.nothing", "nowhere/*"], [], id="no match"),
    ],
)
def test_glob_finds_files(tmp_path: Path, patterns: list[str], found: list[str]) -> None:
    """A glob stands for the files that match it now, if any."""
    kitchen = tmp_path / "kitchen"
    for name in ("a.txt", "b.txt", "data[1].csv", "sub/c.txt", "sub/sub/d.txt"):
        _write(kitchen / name, name)

    assert sorted(_files(kitchen, *patterns)) == found


def test_glob_leaves_out_files_of_runs(tmp_path: Path) -> None:
    """Byte code and the files in directories that are tagged as caches are not inputs."""
    for name in (
        "a.py",
        "__pycache__/a.pyc",
        ".pytest_cache/CACHEDIR.TAG",
        ".pytest_cache/d/choochoo/default.sqlite",
        ".hidden/b.txt",
    ):
        _write(tmp_path / name)

    assert sorted(_files(tmp_path, "**/*")) == [".hidden/b.txt", "a.py"]


def test_glob_may_begin_in_a_cache(tmp_path: Path) -> None:
    """A directory that the user names is searched, even if it is tagged as a cache."""
    _write(tmp_path / "cache" / "CACHEDIR.TAG")
    _write(tmp_path / "cache" / "a.txt")

    assert list(_files(tmp_path, "cache/*.txt")) == ["cache/a.txt"]


def test_absolute_paths_are_allowed(tmp_path: Path) -> None:
    """A file elsewhere has its absolute path as a name, one below the declaring file a relative one."""
    kitchen = tmp_path / "kitchen"
    elsewhere = _write(tmp_path / "elsewhere" / "a.txt")
    _write(kitchen / "b.txt")

    found = _files(kitchen, str(elsewhere), f"{elsewhere.parent}/*.t?t", f"{kitchen}/*.txt")

    assert sorted(found) == sorted([str(elsewhere), "b.txt"])


def test_link_stands_for_its_file(tmp_path: Path) -> None:
    """A link is compared by the content of its target."""
    _write(tmp_path / "elsewhere.txt", "cold")
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    before = _files(tmp_path / "kitchen", "link.txt", "*.txt")

    _write(tmp_path / "elsewhere.txt", "warm")

    assert list(before) == ["link.txt"]
    assert _files(tmp_path / "kitchen", "link.txt") != before


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        pytest.param("nowhere.txt", MissingFile("boil", "nowhere.txt"), id="missing"),
        pytest.param("pots", NotAFile("boil", "pots"), id="directory"),
        pytest.param("broken", MissingFile("boil", "broken"), id="broken link"),
        pytest.param("file/below", MissingFile("boil", "file/below"), id="below a file"),
        pytest.param("/nowhere", MissingFile("boil", "/nowhere"), id="absolute"),
        pytest.param("", NotAFile("boil", ""), id="nothing"),
    ],
)
def test_declared_file_must_exist(tmp_path: Path, pattern: str, error: ChoochooError) -> None:
    """A file that is declared by name must exist before the visit."""
    (tmp_path / "pots").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    _write(tmp_path / "file")

    with pytest.raises(type(error)) as caught:
        _files(tmp_path, pattern)

    assert caught.value.args == error.args


def test_name_of_a_file_may_be_undecodable(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is an input like any other."""
    name = os.fsdecode(b"caf\xe9")
    _write(tmp_path / name)

    assert list(_files(tmp_path, "*")) == [r"caf\udce9"]


# --- products


def _products(folder: Path, *names: str) -> dict[str, str]:
    return fingerprint.products(_station(folder, products=names))


def test_missing_product_has_no_digest(tmp_path: Path) -> None:
    """A missing product differs from an empty one."""
    _write(tmp_path / "empty")
    (tmp_path / "folder").mkdir()

    found = _products(tmp_path, "empty", "folder", "nowhere", "empty/below")

    assert {name: bool(digest) for name, digest in found.items()} == {
        "empty": True,
        "folder": True,
        "nowhere": False,
        "empty/below": False,
    }


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("out/a", True, id="content"),
        pytest.param("out/deep/new", True, id="new file"),
        pytest.param("out/__pycache__/a.pyc", False, id="byte code"),
        pytest.param("elsewhere", False, id="outside"),
    ],
)
def test_directory_is_compared_with_all_its_files(tmp_path: Path, name: str, changes: bool) -> None:
    """A product that is a directory changes with any file below it."""
    _write(tmp_path / "out" / "a", "1")
    before = _products(tmp_path, "out")

    _write(tmp_path / name, "2")

    assert (_products(tmp_path, "out") != before) is changes


def test_moved_file_changes_its_directory(tmp_path: Path) -> None:
    """The path of a file in a product counts, not only its content."""
    path = _write(tmp_path / "out" / "a" / "b", "x")
    (tmp_path / "out" / "c").mkdir()
    before = _products(tmp_path, "out")

    path.rename(tmp_path / "out" / "c" / "b")

    assert _products(tmp_path, "out") != before


def test_socket_is_a_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket or a pipe is checked for existence, but not read, which might block for ever."""
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("server.sock")

        found = _products(tmp_path, "pipe", "server.sock")

    assert all(found.values())


# --- links


def _site(folder: Path) -> Path:
    """Return the folder of a site with two releases, and a link to the one that is current."""
    for release in ("1", "2"):
        _write(folder / "releases" / release / "index.html", release)
    (folder / "site").mkdir()
    (folder / "site" / "current").symlink_to("../releases/1")
    (folder / "site" / "gone").symlink_to("nowhere")
    (folder / "site" / "up").symlink_to("..")
    return folder / "site"


def _alter_link(site: Path) -> None:
    (site / "current").unlink()
    (site / "current").symlink_to("../releases/2")


def _remove_link(site: Path) -> None:
    (site / "current").unlink()


def _alter_dangling_link(site: Path) -> None:
    (site / "gone").unlink()
    (site / "gone").symlink_to("elsewhere")


def _write_behind_link(site: Path) -> None:
    _write(site / "current" / "deep" / "new.html")


@pytest.mark.parametrize(
    ("alter", "changes"),
    [
        (_alter_link, True),
        (_remove_link, True),
        (_alter_dangling_link, True),
        (_write_behind_link, True),
        (lambda site: (site / "up").unlink(), True),
        (lambda site: None, False),
    ],
    ids=["another target", "removed", "dangling", "behind it", "loop removed", "nothing"],
)
def test_links_in_a_product_count(
    tmp_path: Path, alter: Callable[[Path], None], changes: bool
) -> None:
    """A product changes with the targets of the links in it, and with what is in linked folders."""
    site = _site(tmp_path)
    before = _products(tmp_path, "site")

    alter(site)

    assert (_products(tmp_path, "site") != before) is changes


def test_product_that_is_a_link_goes_by_its_target(tmp_path: Path) -> None:
    """Although both targets have the same content, the link is another one."""
    for name in ("1", "2"):
        _write(tmp_path / name, "x")
    (tmp_path / "current").symlink_to("1")
    before = _products(tmp_path, "current")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("2")

    assert _products(tmp_path, "current") != before


def test_moved_product_keeps_the_digest_of_its_links(tmp_path: Path) -> None:
    """A link to somewhere in its own product goes by the way there, not by the place of both."""
    for name in ("one", "two"):
        target = _write(tmp_path / name / "out" / "a" / "b", "x")
        (tmp_path / name / "out" / "link").symlink_to(target.parent)

    assert _products(tmp_path / "one", "out") == _products(tmp_path / "two", "out")


def test_loops_of_links_end(tmp_path: Path) -> None:
    """Folders that lead to each other are read once on each way."""
    for name, other in (("a", "b"), ("b", "a")):
        _write(tmp_path / "out" / name / f"{name}.txt", name)
        (tmp_path / "out" / name / other).symlink_to(f"../{other}")
    (tmp_path / "out" / "self").symlink_to("self")

    assert _products(tmp_path, "out")["out"]
    assert sorted(_files(tmp_path, "out/**/*.txt")) == [
        "out/a/a.txt",
        "out/a/b/b.txt",
        "out/b/a/a.txt",
        "out/b/b.txt",
    ]


@pytest.mark.parametrize("pattern", ["**/*.csv", "**/day/*.csv", "**/day/**", "data/**/*.csv"])
def test_glob_enters_linked_folders(tmp_path: Path, pattern: str) -> None:
    """Two stars stand for linked folders as well, and for nothing twice."""
    _write(tmp_path / "elsewhere" / "day" / "1.csv")
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "data" / "new").symlink_to(tmp_path / "elsewhere")

    assert list(_files(project, pattern)) == ["data/new/day/1.csv"]


def test_digests_of_form_0_ignore_links(tmp_path: Path) -> None:
    """Digests recorded before links counted can be compared with those of now."""
    site = _site(tmp_path)
    _write(site / "a.html", "a")
    made = _station(tmp_path, files=["site/**/*.html"], products=["site"])
    before = fingerprint.products(made, with_links=False)

    _remove_link(site)

    assert fingerprint.products(made, with_links=False) == before
    assert list(fingerprint.files(made, with_links=False)) == ["site/a.html"]


# --- placeholders


def test_parameters_are_filled_into_paths(tmp_path: Path) -> None:
    """In `files` and `products`, `{name}` stands for a parameter, and `{{` for a brace."""
    _write(tmp_path / "data" / "tea.01.txt", "x")
    _write(tmp_path / "{tea}", "x")
    made = _station(
        tmp_path,
        {"sample": "tea", "number": 1},
        files=["data/{sample}.{number:02}.txt", "{{tea}}"],
        products=["data/{sample}.*", "{{{sample}}}"],
    )

    assert list(_take(made).files) == ["data/tea.01.txt", "{tea}"]
    assert list(fingerprint.products(made)) == ["data/tea.*", "{tea}"]
    assert fingerprint.products(made)["{tea}"]
