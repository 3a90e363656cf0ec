"""Parameters of stations, checks and cleans that nothing provides."""

from __future__ import annotations

import pytest

from unit.collection.conftest import Collect

BOIL = "@station\ndef boil(): ...\n"


def found(collect: Collect, *sources: str, **files: str) -> tuple[str, ...]:
    """Return the faults of the stations in *sources*, without where and the way out."""
    project = collect({"stations.py": BOIL + "\n".join(sources), **files})
    texts = map(str, project.faults())
    return tuple(text.partition(": ")[2].partition(", which is neither")[0] for text in texts)


REQUESTS = {
    "station": ("@station\ndef pour(boli): ...\n", "station 'pour' requests 'boli'"),
    "check": (
        "@boil.check\ndef is_hot(boli): ...\n",
        "check 'is_hot' of station 'boil' could not be asked: it requests 'boli'",
    ),
    "clean": ("@boil.clean\ndef cool(boli): ...\n", "the clean of station 'boil' requests 'boli'"),
    "values": (
        "@station(values=['boli'])\ndef pour(): ...\n",
        "station 'pour' declares the value 'boli'",
    ),
    "mark": (
        "@pytest.mark.usefixtures('boli')\n@station\ndef pour(): ...\n",
        "station 'pour' uses the fixture 'boli'",
    ),
    "fixture": (
        "@pytest.fixture\ndef pot(boli): ...\n@station\ndef pour(pot): ...\n",
        "station 'pour' requests the fixture 'pot', which requests 'boli'",
    ),
    "fixture of a check": (
        "@pytest.fixture\ndef pot(boli): ...\n@boil.check\ndef is_hot(pot): ...\n",
        "station 'boil' requests the fixture 'pot', which requests 'boli'",
    ),
    "instances": (
        "@station\n@pytest.mark.parametrize('tea', [1, 2])\ndef pour(tea, boli): ...\n",
        "station 'pour' requests 'boli'",
    ),
    "condition": (
        "@pytest.mark.skipif(False, reason='no')\n@station\ndef pour(boli): ...\n",
        "station 'pour' requests 'boli'",
    ),
}


@pytest.mark.parametrize(("source", "fault"), REQUESTS.values(), ids=REQUESTS)
def test_unknown_parameter_is_a_fault(collect: Collect, source: str, fault: str) -> None:
    """A station, its checks, clean and values request only what exists, at any depth."""
    assert found(collect, source) == (fault,)


def test_close_names_are_suggested(collect: Collect) -> None:
    """The fault says where, and names the fixtures and stations whose names are close."""
    project = collect({"stations.py": BOIL + "@station\ndef pour(boli, tmp_pth): ...\n"})

    assert [*map(str, project.faults())] == [
        (
            "stations.py:6: station 'pour' requests 'boli', which is neither a fixture nor a "
            "station; did you mean 'boil'?"
        ),
        (
            "stations.py:6: station 'pour' requests 'tmp_pth', which is neither a fixture nor a "
            "station; did you mean 'tmp_path' or 'tmp_path_factory'?"
        ),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "@station\ndef pour(boil, request, visit, tmp_path): ...\n",
        "@boil.check\ndef is_hot(boil, visit, tmp_path): ...\n",
        "@station\ndef pour(later): ...\n@station\ndef later(): ...\n",
        "@station\ndef pour(tea='green'): ...\n",
        (
            "@station\n@pytest.mark.parametrize('tea', [1])\ndef pour(tea): ...\n"
            "@pour.check\ndef is_hot(tea): ...\n"
        ),
        "@pytest.mark.skip\n@station\ndef pour(boli): ...\n",
        "@pytest.mark.skipif(True, reason='no')\n@station\ndef pour(boli): ...\n",
        "@pytest.mark.skipif('True')\n@station\ndef pour(boli): ...\n",
        "@pytest.mark.skipif(condition=True, reason='no')\n@station\ndef pour(boli): ...\n",
    ],
)
def test_known_parameter_is_no_fault(collect: Collect, source: str) -> None:
    """Fixtures, stations and parameters are known; what may be skipped requests nothing."""
    assert found(collect, source) == ()


def test_station_of_a_test_module_may_request_a_later_one(collect: Collect) -> None:
    """In a test module, a station may be defined below those that request it."""
    source = "@station\ndef pour(later): ...\n@station\ndef later(): ...\n"

    assert found(collect, **{"test_tea.py": source}) == ()


def test_station_of_a_broken_file_is_not_called_unknown(collect: Collect) -> None:
    """Nothing is said of a name that a file above may define which could not be imported."""
    files = {"station_broken.py": "raise RuntimeError\n", "deep/stations.py": ""}
    files["deep/stations.py"] = "@station\ndef pour(brew): ...\n"

    assert found(collect, **files) == ()


def test_station_with_a_fault_of_its_own_is_not_called_unknown(collect: Collect) -> None:
    """A request for a station in a wrong place is no second fault."""
    conftest = "@station\ndef brew(): ...\n"

    assert found(collect, "@station\ndef pour(brew): ...\n", **{"conftest.py": conftest}) == (
        (
            "station 'brew' is defined in a conftest.py; "
            "move it to stations.py beside it, which is visible to the same directories"
        ),
    )


def test_item_of_a_plugin_may_request_what_the_plugin_registers_later(collect: Collect) -> None:
    """A fixture that is registered while pytest collects is known."""
    conftest = """
        def pytest_collection_finish(session): ...

        def pytest_pycollect_makeitem(collector, name, obj):
            if name == "boil":
                pytest.register_fixture(name="late", func=lambda: 1, node=collector.session)
    """

    assert found(collect, "@station\ndef apple(late): ...\n", **{"conftest.py": conftest}) == ()
