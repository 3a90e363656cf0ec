"""`--cc-audit`: what it does with a workflow without faults, and how it begins and ends."""

from __future__ import annotations

import json

import pytest
from background import HELD, BackgroundRuns
from harness import Project
from seeds import audited, contents, open_house, open_shop, open_site

FORMS = pytest.mark.parametrize("form", ["--cc-audit", "--cc-audit=deep"], ids=["plain", "deep"])
WORKFLOWS = {"shop": open_shop, "house": open_house, "site": open_site}


@FORMS
@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_found_without_a_fault(project: Project, name: str, form: str) -> None:
    """All stations of a workflow without faults are audited, and nothing of it is left."""
    WORKFLOWS[name](project)
    before = contents(project)

    run, stations = audited(project, form, apart=name == "site")

    assert {facts["result"] for facts in stations.values()} == {"audited"}, run.text
    assert [name for name, facts in stations.items() if "findings" in facts] == []
    assert (run.exit_code, run.closing) == (0, f"{len(stations)} audited")
    assert contents(project) == before
    assert "next:" not in run.text


# Statements that read no input of a visit.
INNOCENT = {
    "own_file": "own('x').write_text('1'); own('x').read_text()",
    "own_appended": "[open(own('y'), mode).close() for mode in ('a', 'a+', 'r')]",
    "own_renamed": "own('z.new').write_text('1'); os.replace(own('z.new'), own('z')); own('z').read_text()",
    "own_folder": "own('d').mkdir(); subprocess.run(['sh', '-c', 'echo 1 > $0', own('d/f')], check=True); own('d/f').read_text()",
    "own_overwritten": "(HERE / 'notes.txt').write_text('not for sale\\n'); (HERE / 'notes.txt').read_text()",
    "own_of_a_process": "subprocess.run(['touch', own('p')], check=True); own('p').read_text()",
    "own_copied": "shutil.copy(__file__, own('c')); own('c').read_text()",
    "own_linked": "own('l').symlink_to(os.devnull); own('l').read_text()",
    "temporary_file": "file = tempfile.NamedTemporaryFile(); open(file.name).close(); file.close()",
    "temporary_folder": "with tempfile.TemporaryDirectory() as name: Path(name, 'a').write_text('1'); Path(name, 'a').read_text()",
    "own_directory": "(visit.dir / 'a').write_text('1'); (visit.dir / 'a').read_text()",
    "directory_of_before": "(visit.dir / 'b').touch(); (visit.dir / 'b').open().close()",
    "environment_of_a_child": "subprocess.run(['true'], env={**os.environ, 'A': '1'}, check=True)",
    "child": "subprocess.check_output('echo $CURRENCY', shell=True)",
    "copied_environment": "os.environ.copy(); dict(os.environ); os.environ | {}; list(os.environ.items())",
    "which": "shutil.which('sh')",
    "home": "Path.home(); os.path.expanduser('~/x'); Path('~').expanduser()",
    "temporary_place": "tempfile.tempdir = None; tempfile.gettempdir()",
    "own_variable": "os.environ['OWN'] = '1'; os.environ['OWN']; del os.environ['OWN']",
    "patched_variable": "patch.setenv('CURRENCY', 'USD'); os.environ['CURRENCY']",
    "late_import": "import lazy; lazy.answer()",
    "source": "inspect.getsource(tools.notes); linecache.getline(tools.__file__, 1)",
    "listing": "os.listdir(HERE); sorted(HERE.glob('**/*.txt')); (HERE / 'notes.txt').stat()",
    "outside": "open('/etc/passwd').close(); (HERE.parent / 'outside.txt').read_text()",
    "product_of_upstream": "PRICES.read_text()",
    "input_of_upstream": "(HERE / 'items.csv').read_text(); os.environ['SHOP_TAX']",
    "database_of_upstream": "tables_in(SHOP / 'shop.sqlite')",
    "installed": "(HERE / '.venv/lib/data.txt').read_text()",
    "cache": "[path.read_bytes() for path in (HERE / '.pytest_cache').rglob('*.md')]",
    "log": "logging.getLogger('shop').warning('sold'); print('sold')",
    "error": "traceback.format_exception(OSError('sold')); warnings.catch_warnings()",
}
MORE = """
    import inspect, linecache, logging, tempfile, traceback, warnings

    OWN = HERE / "own"

    def own(name):
        OWN.mkdir(exist_ok=True)
        return OWN / name

    @pytest.fixture
    def patch():
        with pytest.MonkeyPatch.context() as patch:
            yield patch

    @pytest.fixture
    def rate():
        os.environ.get("RATE")
        return (HERE / "rates" / "low.txt").read_text()

    @pytest.fixture
    def double_rate(rate: str):
        return 2 * rate

    @pytest.fixture
    def own_fixture():
        own("fixture").write_text("1")

    @station(values=["double_rate"])
    def by_values(items: Stock, double_rate: str) -> None: ...

    @by_values.clean
    def no_values(): ...

    @station(files=["rates/*.txt", "link.txt"], env=["CURRENCY", "NEVER_SET"])
    def by_pattern(items: Stock, tmp_path: Path) -> None:
        for path in (HERE / "rates").glob("*.txt"):
            path.read_text()
        (HERE / "link.txt").read_text()
        os.environ["CURRENCY"]
        os.environ.get("NEVER_SET")
        (tmp_path / "a").write_text("1")
        (tmp_path / "a").read_text()

    @by_pattern.clean
    def no_pattern(): ...

    @station
    def by_own_fixture(items: Stock, own_fixture) -> None:
        own("fixture").read_text()

    @by_own_fixture.clean
    def no_fixture(): ...

    @by_own_fixture.check(warn=True)
    def is_never_right():
        assert not "right"
"""


@FORMS
def test_reads_that_are_no_inputs(project: Project, form: str) -> None:
    """Own files, declared inputs, code, and reads by libraries alone are no findings."""
    text = "".join(
        f"""
    @station
    def {name}(prices, items: Stock, visit: Visit, patch) -> None:
        shutil.rmtree(OWN, ignore_errors=True)
        {statement}

    @{name}.clean
    def no_{name}():
        shutil.rmtree(OWN, ignore_errors=True)
"""
        for name, statement in INNOCENT.items()
    )
    open_shop(project, also=MORE + text)
    project.write("lazy.py", "def answer():\n    return 42\n")
    project.write(".venv/pyvenv.cfg", "")
    project.write(".venv/lib/data.txt", "1")
    (project.path.parent / "outside.txt").write_text("1")
    before = contents(project)

    run, stations = audited(project, form)

    found = {name: facts["findings"] for name, facts in stations.items() if "findings" in facts}
    assert found == {}
    assert {facts["result"] for facts in stations.values()} == {"audited"}, run.text
    assert (run.exit_code, contents(project)) == (0, before)


MILL = """
    from pathlib import Path
    HERE = Path(__file__).parent
    GROUND = HERE / "ground"

    @pytest.fixture(scope="module")
    def mill(machine):
        log("mill on")
        yield "mill"
        log("mill off")

    @station(protect=True)
    def grind(mill):
        log("grind")
        GROUND.touch()

    @grind.check
    def is_ground():
        assert GROUND.exists()

    @grind.clean
    def throw_away(mill):
        log("throw away")
        GROUND.unlink()

    @station
    def smell(mill, grind):
        log("smell")
        return "good"
"""
CUP = """
    from pathlib import Path
    POURED = Path(__file__).parent / "poured"

    @station
    def pour(machine, grind):
        log("pour")
        POURED.touch()

    @pour.check
    def is_poured():
        assert POURED.exists()

    @pour.clean
    def spill():
        log("spill")
        POURED.unlink()
"""


@pytest.fixture
def cafe(project: Project) -> Project:
    """Stations in two files, which share a session fixture; one is protected, one has no clean."""
    project.stations(MILL)
    project.stations(CUP, "bar/bar_stations.py")
    project.write("bar/test_bar.py", "def test_bar(pour): ...\n")
    project.write(
        "conftest.py",
        """
        import pytest
        from effects import log

        @pytest.fixture(scope="session")
        def machine():
            log("machine on")
            yield "machine"
            log("machine off")
        """,
    )
    return project


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])
def test_stations_are_made_and_undone_in_order(cafe: Project, workers: tuple[str, ...]) -> None:
    """Upstream is visited first, each station twice at once, and downstream is cleaned first."""
    before = contents(cafe)

    run, stations = audited(cafe, "--cc-unprotect=grind", *workers)

    steps = [line for line in run.log if "machine" not in line and "mill" not in line]
    assert steps == [*("grind", "grind", "pour", "pour", "smell", "smell"), "spill", "throw away"]
    assert run.log.count("machine on") == run.log.count("machine off") == 1
    assert run.log.count("mill on") == run.log.count("mill off")
    results = {name: facts["result"] for name, facts in stations.items()}
    assert results == {"smell": "left in place", "pour": "audited", "grind": "audited"}
    assert (run.exit_code, contents(cafe)) == (0, before)
    assert run.closing == "2 audited, 1 left in place"
    assert "  left in place (no clean defined): smell" in run.outlines
    assert "4 items / 1 deselected / 3 selected" in run.text


def test_second_audit_is_like_the_first(cafe: Project) -> None:
    """An audit leaves nothing that keeps another one from beginning."""
    first, _ = audited(cafe, "--cc-unprotect=grind")

    second, _ = audited(cafe, "--cc-unprotect=grind")

    assert (second.exit_code, second.closing) == (0, first.closing)
    assert second.log == first.log


def test_protected_station_is_audited_and_stays(cafe: Project) -> None:
    """Without --cc-unprotect a protected station fails and stays, and the way out is said."""
    _, stations = audited(cafe, "-k", "pour or grind")

    assert {name: facts["result"] for name, facts in stations.items()} == {
        "pour": "audited",
        "grind": "failed",
    }
    cause = (
        "station 'grind' is protected, so it was not cleaned; to clean it, add --cc-unprotect=grind"
    )
    assert stations["grind"]["cause"] == cause
    assert "findings" not in stations["grind"]
    assert (cafe.path / "ground").exists() and not (cafe.path / "bar/poured").exists()
    clean = cafe.run("--cc-clean", "--cc-profile=audit", "--cc-unprotect=grind")
    assert (clean.closing, clean.exit_code) == ("1 cleaned", 0)
    assert not (cafe.path / "ground").exists()


@pytest.mark.parametrize("selection", [("-k", "pour"), ("bar/bar_stations.py::pour",)])
def test_upstream_of_a_selection(cafe: Project, selection: tuple[str, ...]) -> None:
    """Upstream of the selected stations is made once and cleaned, and no fault in it is sought."""
    cafe.edit("stations.py", "assert GROUND.exists()", "return True")

    run, stations = audited(cafe, "--cc-unprotect=grind", *selection)

    steps = [line for line in run.log if "machine" not in line and "mill" not in line]
    assert steps == ["grind", "pour", "pour", "spill", "throw away"]
    line = "choochoo: 1 needed station, made and cleaned without being audited: grind"
    assert line in run.outlines
    assert stations["pour"]["result"] == "audited"


def test_nothing_to_audit(cafe: Project) -> None:
    """Where no station is selected, that is said, and the exit code is pytest's."""
    run, stations = audited(cafe, "bar/test_bar.py")

    assert (stations, run.exit_code, run.log) == ({}, 5, ())
    assert "choochoo: there was nothing to audit" in run.outlines


def test_collecting_only(cafe: Project) -> None:
    """With --collect-only nothing is visited or cleaned."""
    run = cafe.run("--cc-audit", "--collect-only")

    assert (run.exit_code, run.log) == (0, ())


def test_complete_stations_are_in_the_way(cafe: Project) -> None:
    """An audit begins where nothing is complete; else it names what is, and how to clean it."""
    cafe.run("--cc-run", "--cc-profile=audit", "-k", "not test_bar")

    run = cafe.run("--cc-audit")

    error = (
        "ERROR: an audit begins from nothing, but stations are complete in profile 'audit': "
        "grind, pour, smell; clean them first: pytest --cc-clean --cc-profile=audit"
    )
    assert (error in run.outlines, run.exit_code, run.log) == (True, 4, ())


@pytest.mark.parametrize("way", ["variable", "ini"])
def test_profile_is_its_own(cafe: Project, way: str) -> None:
    """Without --cc-profile an audit takes place in `audit`, whatever else names a profile."""
    if way == "variable":
        cafe.setenv("CC_PROFILE", "staging")
    else:
        cafe.ini("cc_profile = staging")
    assert cafe.run("--cc-run").closing == "3 visited"
    assert cafe.run("--cc-clean", "--cc-unprotect=grind").exit_code == 0

    run, _ = audited(cafe, "--cc-unprotect=grind", "--cc-profile=other")
    again, _ = audited(cafe, "-k", "smell", "--cc-unprotect=grind")

    assert (run.exit_code, again.exit_code) == (0, 0)
    document = json.loads((cafe.path.parent / "audit.json").read_text())
    assert (document["profile"], document["command"]) == ("audit", "audit")
    ledgers = sorted(file.stem for file in cafe.path.rglob("choochoo/*.sqlite"))
    assert ledgers == ["audit", "other", "staging"]


def test_profile_of_the_command_line(cafe: Project) -> None:
    """With --cc-profile, commands that are named have it as well."""
    cafe.run("--cc-run", "--cc-profile=scratch")

    run = cafe.run("--cc-audit", "--cc-profile=scratch")

    assert "clean them first: pytest --cc-clean --cc-profile=scratch" in run.text
    assert "profile 'scratch'" in run.text


FOUND = """
    from pathlib import Path
    DATA = Path(__file__).parent / "data.txt"

    @station
    def data():
        log("data")
        DATA.write_text("1")
        return "1"

    @data.find
    def find_data():
        return DATA.read_text() if DATA.exists() else None

    @data.check
    def is_there():
        assert DATA.exists()

    @data.clean
    def remove():
        log("remove")
        DATA.unlink()

    @station
    def use(data): ...

    @station
    def other():
        log("other")

    @other.clean
    def no_other():
        log("no other")
"""


def test_what_is_there_beforehand_is_left_alone(project: Project) -> None:
    """A station that its find finds, and its checks confirm, is skipped; downstream is blocked."""
    project.stations(FOUND)
    project.write("data.txt", "mine")

    run, stations = audited(project)

    assert {name: facts["result"] for name, facts in stations.items()} == {
        "other": "audited",
        "use": "blocked",
        "data": "skipped",
    }
    reason = "it is there already, as its find and its checks say: nothing was done or undone"
    assert stations["data"]["cause"] == reason
    assert stations["use"]["blocked_by"] == ["data"]
    assert run.log == ("other", "other", "no other")
    assert (project.path / "data.txt").read_text() == "mine"


def test_check_alone_cannot_tell_that_it_is_there(project: Project) -> None:
    """Where there is no find, a check that passes beforehand is taken to be blind."""
    project.stations(FOUND)
    project.edit("stations.py", "@data.find\ndef find_data", "def find_data")
    project.write("data.txt", "mine")

    _, stations = audited(project)

    [finding] = stations["data"]["findings"]
    assert finding == {
        "kind": "blind check",
        "done": "check is_there was asked before anything was done",
        "expected": "it does not pass",
        "seen": "is_there passes: it cannot see that nothing is there",
    }


def test_stations_that_are_not_proven(project: Project) -> None:
    """A station that is skipped, or expected to fail, is no fault, and is not called audited."""
    project.stations(
        """
    @pytest.mark.skipif(True, reason="no milk")
    @station
    def milk(): ...

    @station
    def tea():
        pytest.skip("no leaves")

    @tea.clean
    def no_tea(): log("no tea")

    @pytest.mark.xfail(reason="no sugar")
    @station
    def sugar():
        raise RuntimeError("sugar")

    @sugar.clean
    def no_sugar(): log("no sugar")

    @station
    def cup(sugar): ...
    """
    )

    run, stations = audited(project)

    assert {name: facts["result"] for name, facts in stations.items()} == {
        "milk": "skipped",
        "tea": "skipped",
        "sugar": "skipped",
        "cup": "blocked",
    }
    assert (run.exit_code, run.log) == (5, ("no sugar",))  # nothing was examined


STATIONS_AT_FAULT = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def first():
        log("first")

    @first.clean
    def no_first(): log("no first")

    @station
    def twice(first) -> dict[str, list[int]]:
        log("twice")
        with open(HERE / "count.txt", "a") as file:
            file.write("+")
        return {"sizes": [0, (HERE / "count.txt").stat().st_size]}

    @twice.clean
    def no_twice():
        (HERE / "count.txt").unlink()

    @station
    def last(twice):
        log("last")
        return HERE.joinpath("notes.txt").read_text()

    @last.clean
    def no_last(): log("no last")
"""


def test_finding_in_the_terminal(project: Project) -> None:
    """A finding says what was done, expected and seen; the closing lines have it in one line."""
    project.stations(STATIONS_AT_FAULT)
    project.write("notes.txt", "")

    run, _ = audited(project, "-k", "twice or first")

    begin = next(
        n
        for n, line in enumerate(run.outlines)
        if line.endswith(" FAILURES ===================================")
    )
    text = "\n".join(run.outlines[begin + 1 :])
    counts = run.text
    assert text.startswith(
        """\
____________________________________ twice _____________________________________
the audit found a fault in station 'twice'

not idempotent
  done:     it was visited again at once
  expected: the same outcome
  seen:     sizes[1]: 1 -> 2
choochoo: 1 audited, 1 failed in """
    )
    assert (
        """
  failed   twice  not idempotent: sizes[1]: 1 -> 2
next: fix twice, then run pytest --cc-audit
=========================== short test summary info ============================
FAILED stations.py::twice
"""
        in counts
    )


def test_stop_at_the_first_fault(project: Project) -> None:
    """With -x nothing else is visited after a fault, and all that was made is cleaned."""
    project.stations(STATIONS_AT_FAULT)
    project.write("notes.txt", "")
    before = contents(project)

    run, stations = audited(project, "-x")

    assert run.log == ("first", "first", "twice", "twice", "no first")
    assert {name: facts["result"] for name, facts in stations.items()} == {
        "last": "not reached",
        "twice": "failed",
        "first": "audited",
    }
    assert (run.exit_code, contents(project)) == (1, before)


def test_faults_of_all_stations(project: Project) -> None:
    """Without -x a fault does not block: what is downstream is audited as well."""
    project.stations(STATIONS_AT_FAULT)
    project.write("notes.txt", "")

    run, stations = audited(project)

    assert {name: facts["result"] for name, facts in stations.items()} == {
        "last": "failed",
        "twice": "failed",
        "first": "audited",
    }
    assert "next: fix last, twice, then run pytest --cc-audit" in run.outlines


@pytest.mark.parametrize(
    ("times", "selection", "counts"),
    [
        pytest.param(1, (), "1 visited, 1 not reached", id="once"),
        pytest.param(2, (), "1 failed, 1 blocked", id="twice"),
        pytest.param(1, ("-k", "boil"), "1 visited", id="last-visit"),
    ],
)
def test_interrupt(
    background: BackgroundRuns, times: int, selection: tuple[str, ...], counts: str
) -> None:
    """After Ctrl-C in a visit nothing else is done, and the command that cleans is named."""
    project = background.project
    project.stations(HELD)
    run = background.held("--cc-audit", *selection)

    background.interrupt(run)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    if times == 2:
        background.interrupt(run)
    else:
        background.release()
    text = background.end(run)

    assert run.returncode == 2, text
    assert "next: pytest --cc-clean --cc-profile=audit" in text.splitlines(), text
    assert f"choochoo: {counts} in " in text, text
    assert {"cool", "pour"}.isdisjoint(project.log())
    clean = project.run("--cc-clean", "--cc-profile=audit")
    assert (clean.exit_code, clean.log) == (0, ("cool",))
    if times == 1:
        assert project.log().count("boil begins") == 1


def test_interrupt_while_it_is_cleaned(background: BackgroundRuns) -> None:
    """After Ctrl-C in a clean, what is left is named, and a clean continues there."""
    background.project.stations(
        """
    import time
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil(): ...

    @boil.clean
    def cool(): log("cool")

    @station
    def pour(boil): ...

    @pour.clean
    def spill():
        log("spill")
        (HERE / "begun").touch()
        while (HERE / "hold").exists():
            time.sleep(0.01)
    """
    )
    run = background.held("--cc-audit")

    background.interrupt(run)
    text = background.end(run)

    assert run.returncode == 2, text
    assert "next: pytest --cc-clean --cc-profile=audit" in text.splitlines(), text
    background.release()
    clean = background.project.run("--cc-clean", "--cc-profile=audit")
    assert (clean.exit_code, clean.log) == (0, ("spill", "cool"))
