"""Every error: its sentence, its facts, and its pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

from pytest_choochoo.engine import errors
from pytest_choochoo.engine.errors import ChoochooError

SENTENCES: dict[ChoochooError, str] = {
    errors.Cycle(("boil", "pour"), ("boil (stations.py:3)", "pour (stations.py:7)")): (
        "stations wait for each other: boil (stations.py:3) -> pour (stations.py:7) -> boil; "
        "remove one of these parameters, or move what they share into a station of its own"
    ),
    errors.OwnFormerName("boil", "stations.py:3", "boil"): (
        "station 'boil' (stations.py:3) has was='boil', which is its own name; "
        "name what it was called before, or remove it"
    ),
    errors.FormerNameInUse("heat", "stations.py:7", "boil", "stations.py:3"): (
        "station 'heat' (stations.py:7) has was='boil', a station that still exists "
        "(stations.py:3): only one of them can have its record; remove was=, or that station"
    ),
    errors.FormerNameShared(("a", "b"), "boil", ("a (stations.py:3)", "b (stations.py:7)")): (
        "stations a (stations.py:3) and b (stations.py:7) have the same former name, was='boil': "
        "only one of them can have its record; remove was= from the others"
    ),
    errors.FormerNameCycle(("a", "b"), ("a (stations.py:3)", "b (stations.py:7)")): (
        "the former names of stations form a cycle: a (stations.py:3) was b (stations.py:7) was a; "
        "remove was= from them, or give them names that no station had before"
    ),
    errors.DuplicateName("boil", "stations.py:3", "stations.py:9"): (
        "two stations are called 'boil': stations.py:3 and stations.py:9; rename one of them"
    ),
    errors.ReservedName("visit", "stations.py:3"): (
        "stations.py:3: a station cannot be called 'visit', "
        "which is the name of a fixture of pytest or of this plugin; rename it"
    ),
    errors.YieldStation("boil", "stations.py:3"): (
        "stations.py:3: station 'boil' uses yield; "
        "return the outcome, and undo the work in @boil.clean"
    ),
    errors.StationInConftest("boil", "conftest.py:3"): (
        "conftest.py:3: station 'boil' is defined in a conftest.py; "
        "move it to stations.py beside it, which is visible to the same directories"
    ),
    errors.StationInClass("boil", "stations.py:3"): (
        "stations.py:3: station 'boil' is defined in a class; move it to the top level of its file"
    ),
    errors.StationOutside("boil", "../stations.py:3", "/tea"): (
        "../stations.py:3: station 'boil' is defined outside the rootdir /tea, where two "
        "stations may share a node id; set another --rootdir, or import it from a file inside"
    ),
    errors.UnshowablePath("boil", "a\x1b/stations.py:3"): (
        r"a\x1b/stations.py:3: station 'boil' lies at a path with control characters or "
        "undecodable bytes, which would be in its node id wherever that is shown; "
        "rename the file or folder"
    ),
    errors.AttachedTwice("boil", "check", "is_hot", "stations.py:3"): (
        "stations.py:3: station 'boil' has two checks called 'is_hot'; rename one of them"
    ),
    errors.AttachedTwice("boil", "clean", "cool", "stations.py:3"): (
        "stations.py:3: station 'boil' has a second clean, 'cool'; merge them into one function"
    ),
    errors.AttachedTwice("boil", "find", "look", "stations.py:3"): (
        "stations.py:3: station 'boil' has a second find, 'look'; merge them into one function"
    ),
    errors.FindsItself("boil", "stations.py:3"): (
        "stations.py:3: the find of station 'boil' requests 'boil' itself, whose outcome it is to "
        "find; remove that parameter"
    ),
    errors.FindsNothing("boil", "stations.py:3"): (
        "stations.py:3: station 'boil' returns nothing, so that its find has nothing to find; "
        "use a check"
    ),
    errors.FindNotAsked("boil", "NameError: name 'x' is not defined", "s.py:3", "correct it"): (
        "station 'boil': its find could not be asked: NameError: name 'x' is not defined (s.py:3); "
        "correct it"
    ),
    errors.NothingFound("boil"): "station 'boil': its find finds nothing",
    errors.NotAcceptable(("boil",)): (
        "--cc-accept: the outcome of boil is unknown, although it returns one; "
        "run 'pytest --cc-run', or give a find to what is there"
    ),
    errors.ProductNotThere("pour", "cup"): (
        "station 'pour' cannot be accepted: its product cup does not exist; "
        "run 'pytest --cc-run', which makes it"
    ),
    errors.MissingExtra("--cc-report", ("jinja2",), "report"): (
        "--cc-report needs jinja2, which this Python cannot import: "
        "pip install 'pytest-choochoo[report]'"
    ),
    errors.UnknownPlaceholder(
        "boil", "stations.py:3", "files", "{pto}.txt", "it has no parameter 'pto'"
    ): (
        "stations.py:3: station 'boil' declares '{pto}.txt' in files, but it has no parameter 'pto'; "
        "name one of its parameters, or write {{ and }} for braces"
    ),
    errors.UnknownParameter(
        "pour", "stations.py:3", "station 'pour' requests", "boli", ("boil",)
    ): (
        "stations.py:3: station 'pour' requests 'boli', which is neither a fixture nor a station; "
        "did you mean 'boil'?"
    ),
    errors.UnknownParameter(
        "pour", "stations.py:3", "station 'pour' requests", "zebra", ("boil",)
    ): (
        "stations.py:3: station 'pour' requests 'zebra', which is neither a fixture nor a station; "
        "correct the name, or define a fixture or a station of that name"
    ),
    errors.HookFailed(
        "conftest.py", "pytest_choochoo_judged", "OSError: no gas", "conftest.py:3"
    ): (
        "plugin 'conftest.py' failed in pytest_choochoo_judged (conftest.py:3): OSError: no gas; "
        "correct it, or disable it"
    ),
    errors.ModuleClash(
        ("serve",), "front/stations.py", "helper", "front/helper.py", "back/helper.py"
    ): (
        "front/stations.py imports 'helper' and gets back/helper.py, although front/helper.py lies "
        "beside it: Python has one module of a name; rename one of the two, or import it by "
        "'from .helper import ...', with an __init__.py in both folders "
        "or with --import-mode=importlib"
    ),
    errors.UnkeptOutcome(
        "boil", "stations.py:3", "subprocess.Popen", "Popen is not a supported type"
    ): (
        "stations.py:3: station 'boil' returns subprocess.Popen, which cannot be stored: "
        "Popen is not a supported type; return plain data that stands for it, "
        "or implement pytest_choochoo_encode"
    ),
    errors.ParametrizedFixture("boil", "kettle", "stations.py:3"): (
        "stations.py:3: a check or clean of station 'boil' requests the parametrized fixture 'kettle'; "
        "request it in the station itself, which is then parametrized as well"
    ),
    errors.NoSuchInstance("boil", "stations.py::pour[tea]", "kettle='blue'"): (
        "stations.py::pour[tea] requests 'boil' with kettle='blue', "
        "but the station is not parametrized with that; give both the same values"
    ),
    errors.UnknownSelector("--cc-replay", ("brew",), ()): (
        "--cc-replay: no station is called 'brew'; there are no stations here"
    ),
    errors.UnknownSelector("--cc-replay", ("biol",), ("boil", "pour")): (
        "--cc-replay: no station is called 'biol'; did you mean 'boil'?"
    ),
    errors.UnknownSelector("--cc-replay", ("grind",), ("grind_1", "grind_2")): (
        "--cc-replay: no station is called 'grind'; did you mean 'grind_2' or 'grind_1'?"
    ),
    errors.UnknownSelector("--cc-replay", ("zzz",), ("boil", "pour")): (
        "--cc-replay: no station is called 'zzz'; choose from boil, pour"
    ),
    errors.UnknownSelector("--cc-forget", ("zzz",), tuple("abcdefghijklm")): (
        "--cc-forget: no station is called 'zzz'; choose from a, b, c, d, e, f, g, h, i, j, k, l, …"
    ),
    errors.BadSetting("--cc-state", "x", "a folder"): "--cc-state is 'x'; it must be a folder",
    errors.NotAFunction("@station", "<station boil>"): (
        "@station must decorate a function, not '<station boil>'"
    ),
    errors.Conflict("--cc-run", "--cc-clean"): (
        "--cc-run and --cc-clean cannot be combined; choose one of them"
    ),
    errors.MissingExtra("--cc-report", ("jinja2", "other"), "report"): (
        "--cc-report needs jinja2 and other, which this Python cannot import: "
        "pip install 'pytest-choochoo[report]'"
    ),
    errors.NothingToUnprotect(): (
        "--cc-unprotect lets a clean undo protected stations, and this command cleans nothing; "
        "add --cc-clean, --cc-redo SEL or --cc-audit, or leave it out"
    ),
    errors.NoLedger(): (
        "there is no place to remember stations: the cache provider is disabled; "
        "remove '-p no:cacheprovider', or name a folder with --cc-state"
    ),
    errors.UnusableLedger("/var/default.sqlite", "permission denied"): (
        "the ledger /var/default.sqlite cannot be written: permission denied; "
        "make the folder writable, or name another with --cc-state"
    ),
    errors.ForbiddenLedger("/var/default.sqlite", "/var belongs to kettle, with mode 0700"): (
        "this account may not use the ledger /var/default.sqlite: /var belongs to kettle, with mode "
        "0700; share a folder with a group (chmod 2770), or name another with --cc-state"
    ),
    errors.ForeignLedger("/var/default.sqlite", "/var belongs to kettle"): (
        "the ledger /var/default.sqlite is not used, as others may have written it: /var belongs to "
        "kettle; remove that or take it over (chown, chmod go-w), name another folder with "
        "--cc-state, or set cc_trust = true if you trust them"
    ),
    errors.UnusableKey("/var/default/secret.key", "it has 1 bytes, not 32"): (
        "the key /var/default/secret.key is not used: it has 1 bytes, not 32; "
        "remove it: stations with env, files or products, and those whose secrets are needed, "
        "are then visited again"
    ),
    errors.LostLedger("/var/default.sqlite", "it was removed, or replaced"): (
        "the ledger cannot be used any more, /var/default.sqlite: it was removed, or replaced; "
        "fix this and run again to resume"
    ),
    errors.MissingFile("boil", "water.txt"): (
        "station 'boil' declares the file water.txt, which does not exist; "
        "create it, or correct files=[...]"
    ),
    errors.NotAFile("boil", "pots"): (
        "station 'boil' declares pots as a file, but it is a directory; "
        "name the files in it, for instance 'pots/**/*'"
    ),
    errors.MissingProduct("boil", "steam.txt"): (
        "station 'boil' was visited, but its product steam.txt does not exist; "
        "create it in the visit, or correct products=[...]"
    ),
    errors.LateChange("rent", "servers"): (
        "station 'rent' put a list or a dict into visit.resources['servers'] and changed it "
        "afterwards: the change is kept now, and would have been lost if the visit had been "
        "killed; change visit.resources['servers'] itself"
    ),
    errors.Undigestable("boil", "parameter 'kettle'", "Kettle"): (
        "station 'boil': parameter 'kettle' has no stable digest (Kettle); use plain data: "
        "numbers, strings, bytes, collections, dataclasses, enums, paths or dates"
    ),
    errors.Unstorable("boil", "Kettle", "Kettle is not a supported type"): (
        "the outcome of station 'boil' cannot be stored (Kettle): Kettle is not a supported type; "
        "return plain data, or declare its type in the return annotation"
    ),
    errors.UnreadableOutcome("boil", "Expected `int`, got `str`"): (
        "the recorded outcome of station 'boil' does not fit its annotation any more: "
        "Expected `int`, got `str`; 'pytest --cc-run' visits it again"
    ),
    errors.DamagedOutcome("boil", "Input data was truncated"): (
        "the recorded outcome of station 'boil' cannot be read: Input data was truncated; "
        "'pytest --cc-run' visits it again"
    ),
    errors.UnkeptResource("stations.py::boil", "kettle", "Secret"): (
        "resource 'kettle' of stations.py::boil cannot be stored (Secret); "
        "use a string id and a JSON value"
    ),
    errors.SecretNotKept("boil"): (
        "the secret in the outcome of station 'boil' is unknown in this run: secrets are "
        "never written down; 'pytest --cc-run' visits the station again for its consumers, "
        "and data that a clean needs belongs in visit.resources"
    ),
    errors.CheckFailed("boil", "is_hot", "it returned False"): (
        "check 'is_hot' of station 'boil' does not pass: it returned False"
    ),
    errors.CheckNotAsked(
        "boil", "is_hot", "NameError: name 'KETTEL' is not defined", "stations.py:9", "correct it"
    ): (
        "station 'boil': check is_hot could not be asked: "
        "NameError: name 'KETTEL' is not defined (stations.py:9); correct it"
    ),
    errors.StationDue("boil", ("never visited", "selected by --cc-replay")): (
        "station 'boil' is due: never visited; selected by --cc-replay"
    ),
    errors.NotWaitedFor("boil", "never visited"): (
        "station 'boil' has no complete record: never visited; "
        "request it as a parameter, so that it is visited first"
    ),
    errors.NoRecord("boil", "never visited"): (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
    ),
    errors.LockTimeout("boil", 2.5, "process 7 on kitchen"): (
        "station 'boil' is still being visited by process 7 on kitchen after 2.5 s; "
        "wait for it, or raise --cc-lock-timeout"
    ),
    errors.ProfileBusy("process 7 on kitchen", 2.5): (
        "still waiting for process 7 on kitchen, after 2.5 s; "
        "let it end first, or raise --cc-lock-timeout"
    ),
    errors.ProtectedStation("boil[1]", "'boil[1]'"): (
        "station 'boil[1]' is protected, so it was not cleaned; "
        "to clean it, add --cc-unprotect='boil[1]'"
    ),
    errors.StillThere("boil", "is_hot"): (
        "station 'boil' was cleaned, but its check 'is_hot' still passes; "
        "either the clean or the check is wrong"
    ),
    errors.NotSetUp("boil", "never visited"): (
        "station 'boil' has no complete record: never visited; "
        "--setup-only visits no station: run 'pytest --cc-run' first"
    ),
    errors.LeftToTrio("boil", "stations.py:5"): (
        "stations.py:5: async station 'boil' is left to pytest-trio, which awaits tests only; use "
        "anyio instead: @pytest.mark.anyio, and a fixture anyio_backend that returns 'trio'"
    ),
    errors.NotFromNothing("audit", ("boil", "pour"), "pytest --cc-clean --cc-profile=audit"): (
        "an audit begins from nothing, but stations are complete in profile 'audit': boil, pour; "
        "clean them first: pytest --cc-clean --cc-profile=audit"
    ),
    errors.AuditFinds("boil", ("not undone",), ()): "the audit found a fault in station 'boil'",
    errors.OnlyInStations("test_tea"): (
        "test_tea requests 'visit', which exists only in stations, checks and cleans; "
        "request the station instead"
    ),
}
every_error = pytest.mark.parametrize(
    "error",
    SENTENCES,
    ids=[f"{type(error).__name__}-{number}" for number, error in enumerate(SENTENCES)],
)


@every_error
def test_error_is_one_sentence(error: ChoochooError) -> None:
    """An error says what is wrong, with the user's names, and what to do about it."""
    assert str(error) == SENTENCES[error]


@every_error
@pytest.mark.parametrize(
    "crossed",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep copy"],
)
def test_error_crosses_processes(error: ChoochooError, crossed: object) -> None:
    """A pickled error comes back with its type, its facts, its sentence and its notes."""
    error = type(error)(*error.args)
    error.add_note("said by a worker")

    again = crossed(error)  # type: ignore[operator]

    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error)


def test_table_has_every_error() -> None:
    """Each error class has its sentence in the table above."""
    classes = {each for each in vars(errors).values() if isinstance(each, type)}
    known = {each for each in classes if issubclass(each, ChoochooError)} - {ChoochooError}

    assert {type(error) for error in SENTENCES} == known


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(error, id=type(error).__name__)
        for error, sentence in SENTENCES.items()
        if "pytest --cc-run" in sentence
    ],
)
def test_error_names_the_given_command(error: ChoochooError) -> None:
    """The way out is the command that the user has to type, with the options of this session."""
    command = "pytest --cc-run --cc-profile=staging"

    assert error.sentence(command) == SENTENCES[error].replace("pytest --cc-run", command)


@pytest.mark.parametrize("fact", ["{command}", "{", "}"])
def test_braces_in_facts_are_kept(fact: str) -> None:
    """Facts with braces in them appear in the sentence as they are."""
    assert str(errors.MissingFile("boil", fact)) == (
        f"station 'boil' declares the file {fact}, which does not exist; "
        "create it, or correct files=[...]"
    )


def test_facts_are_in_the_order_of_arguments() -> None:
    """An error carries its facts as attributes."""
    error = errors.LockTimeout("boil", 2.5, "process 7")

    assert (error.name, error.seconds, error.holder) == error.args == ("boil", 2.5, "process 7")


def test_error_without_its_facts_is_rejected() -> None:
    """An error cannot be made without all its facts."""
    with pytest.raises(ValueError, match="shorter"):
        errors.MissingFile("boil")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "name", "concerned"),
    [
        pytest.param(
            errors.Cycle(("boil", "pour"), ("boil (stations.py:3)", "pour (stations.py:7)")),
            "pour",
            True,
            id="in a cycle",
        ),
        pytest.param(
            errors.Cycle(("boil", "pour"), ("boil (stations.py:3)", "pour (stations.py:7)")),
            "grind",
            False,
            id="outside of a cycle",
        ),
        pytest.param(errors.StationInClass("boil", "x.py:1"), "boil", True, id="by name"),
        pytest.param(errors.StationInClass("boil", "x.py:1"), "x.py:1", False, id="by place"),
        pytest.param(errors.NoLedger(), "boil", False, id="of no station"),
    ],
)
def test_error_knows_the_stations_that_it_concerns(
    error: ChoochooError, name: str, concerned: bool
) -> None:
    """A fault concerns the stations that it names, and no others."""
    assert error.concerns(name) is concerned


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 500, "x" * 500, id="short enough"),
        pytest.param("x" * 501, "x" * 500 + "… (1 more characters)", id="a letter too long"),
        pytest.param("x" * 1_048_500, "x" * 500 + "… (1,048,000 more characters)", id="endless"),
    ],
)
def test_text_from_outside_is_shortened(text: str, shown: str) -> None:
    """Of a long text the beginning is shown, and how much is left; that is done once."""
    assert errors.shortened(text) == shown
    assert errors.shortened(shown) == shown
    assert errors.CheckFailed("boil", "is_hot", text).cause == shown
    assert errors.error_line(RuntimeError(text)) == f"RuntimeError: {shown}"


def test_error_is_one_line() -> None:
    """Of an error of several lines the first is shown, after its type."""
    assert errors.error_line(ValueError("\nno gas\nand no water")) == "ValueError: no gas"
    assert errors.error_line(ValueError()) == "ValueError"
