"""Secrets in outcomes: their consumers, the visits that make them again, and where they never appear."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from harness import Project, change_records

CLEAR = "open-sesame-4711"

LOGIN = """
from dataclasses import dataclass
from pathlib import Path
from pytest_choochoo import Secret

VAULT = Path(__file__).parent / "vault.txt"

@dataclass
class Login:
    user: str
    token: Secret[str]

@station
def login() -> Login:
    log("login")
    return Login("ann", Secret(VAULT.read_text()))

"""
POUR = """
@station
def pour(login: Login) -> str:
    log(f"pour {len(login.token.reveal())}")
    return login.user
"""
UNKNOWN = (
    "the secret in the outcome of station 'login' is unknown in this run: secrets are never "
    "written down; 'pytest --cc-run' visits the station again for its consumers, and data that "
    "a clean needs belongs in visit.resources"
)


def _write(project: Project, more: str = POUR, test: str = "") -> None:
    project.write("vault.txt", CLEAR)
    project.stations(LOGIN + dedent(more))
    if test:
        project.write("test_tea.py", test)


# --- who receives it, and when it is made again


def test_downstream_receives_the_secret_of_the_same_run(project: Project, mode: str) -> None:
    """Downstream can reveal a secret of upstream, in other processes as well."""
    more = "".join(POUR.replace("pour", f"pour_{number}") for number in range(4))
    _write(project, more)

    run = project.run("--cc-run")

    assert run.closing == "5 visited"
    assert sorted(run.log) == ["login", *(f"pour_{number} 16" for number in range(4))]


def test_secret_that_is_not_needed_causes_no_visit(project: Project, mode: str) -> None:
    """If all stations are fresh, an unknown secret causes no visit."""
    _write(project)
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert (run.closing, run.log) == ("2 unchanged", ())


def test_station_is_visited_again_for_the_consumers_of_its_secret(
    project: Project, mode: str
) -> None:
    """A later run that visits downstream visits upstream for its secret, and says so."""
    _write(project)
    project.run("--cc-run")
    project.edit("stations.py", "return login.user", "return login.user * 2")

    run = project.run("--cc-run")

    assert run.reasons == {
        "login": ("its outcome has a secret, which pour needs",),
        "pour": ("code of stations.py::pour changed",),
    }
    assert run.log == ("login", "pour 16")


def test_equal_secret_leaves_downstream_unchanged(project: Project, mode: str) -> None:
    """Downstream of a station that returns the same secret again is unchanged."""
    _write(project)
    project.run("--cc-run")

    run = project.run("--cc-replay", "login")

    assert (run.visited, run.unchanged) == (("login",), ("pour",))


def test_another_secret_is_a_changed_outcome(project: Project, mode: str) -> None:
    """Another secret makes downstream due, and the reason shows neither secret."""
    _write(project)
    project.run("--cc-run")
    project.write("vault.txt", "another")

    run = project.run("--cc-replay", "login")

    assert run.reasons["pour"] == ("outcome of login changed",)
    assert run.log == ("login", "pour 7")


def test_test_receives_the_secret_that_it_requests(project: Project, mode: str) -> None:
    """The station of a secret that a test requests is added and visited."""
    test = "def test_user(login):\n    assert len(login.token.reveal()) == 16\n"
    _write(project, test=test)
    project.run("--cc-run")

    run = project.run("--cc-run", "test_tea.py")

    assert run.reasons == {"login": ("its outcome has a secret, which test_user needs",)}
    assert run.tests == {"test_user": "passed"}
    assert run.log == ("login",)


def test_test_of_downstream_needs_no_secret(project: Project) -> None:
    """A test that requests an outcome without a secret leaves all upstream alone."""
    _write(project, test="def test_user(pour):\n    assert pour == 'ann'\n")
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert (run.closing, run.tests, run.log) == ("2 unchanged", {"test_user": "passed"}, ())


@pytest.mark.parametrize("command", [(), ("--cc-check",)], ids=["plain", "check"])
def test_run_without_visits_knows_all_but_the_secret(
    project: Project, command: tuple[str, ...]
) -> None:
    """In a session without visits, `reveal` raises, and the rest of the outcome is available."""
    _write(
        project,
        test="""
        def test_user(login):
            assert (login.user, repr(login.token)) == ("ann", "***")

        def test_token(login):
            login.token.reveal()
        """,
    )
    project.run("--cc-run")

    run = project.run(*command)

    assert run.tests == {"test_user": "passed", "test_token": "failed"}
    assert run.errors["test_token"] == UNKNOWN


def test_selected_station_adds_the_station_of_its_secret(project: Project, mode: str) -> None:
    """A selected station that is due adds the fresh station whose secret it needs."""
    _write(project)
    project.run("--cc-run")

    run = project.run("--cc-replay", "pour", "-k", "pour")

    assert run.reasons == {
        "login": ("its outcome has a secret, which pour needs",),
        "pour": ("selected by --cc-replay",),
    }


def test_change_further_up_needs_the_secret_as_well(project: Project, mode: str) -> None:
    """A station that an upstream change may reach needs its secrets, although it is not due yet."""
    _write(
        project,
        """
        @station
        def boil() -> int:
            return 100

        @station
        def pour(login: Login, boil: int) -> None:
            log(f"pour {boil} {len(login.token.reveal())}")
        """,
    )
    project.run("--cc-run")
    project.edit("stations.py", "return 100", "return 90")

    run = project.run("--cc-run")

    assert run.reasons == {
        "login": ("its outcome has a secret, which pour needs",),
        "boil": ("code of stations.py::boil changed",),
        "pour": ("outcome of boil changed",),
    }
    assert run.log == ("login", "pour 90 16")


def test_visit_for_a_secret_may_need_another_secret(project: Project, mode: str) -> None:
    """A station that is visited for its secret needs the secrets of its own upstream, at any depth."""
    _write(
        project,
        """
        @station
        def session(login: Login) -> Secret[str]:
            return Secret("session of " + login.token.reveal())

        @station
        def pour(session: Secret[str]) -> None:
            assert session == Secret("session of open-sesame-4711")
        """,
    )
    project.run("--cc-run")
    project.edit(
        "stations.py",
        "def pour(session: Secret[str]) -> None:\n",
        "def pour(session: Secret[str]) -> None:\n    log('poured')\n",
    )

    run = project.run("--cc-run")

    assert run.reasons == {
        "login": ("its outcome has a secret, which session needs",),
        "session": ("its outcome has a secret, which pour needs",),
        "pour": ("code of stations.py::pour changed",),
    }


def test_reason_names_all_consumers_of_a_secret(project: Project) -> None:
    """The reason names stations and tests, also those that use the secret through fixtures."""
    _write(
        project,
        """
        @pytest.fixture
        def client(login):
            return login.token.reveal()

        @station
        def pour(client): ...

        @station
        def serve(client): ...

        @serve.check
        def is_served(client): ...
        """,
        test="def test_user(login): ...\n",
    )
    project.run("--cc-run")

    one = project.run("--cc-run", "-k", "pour or serve")
    two = project.run("--cc-replay", "pour")

    assert one.reasons["login"] == ("its outcome has a secret, which serve needs",)
    assert two.reasons["login"] == (
        "its outcome has a secret, which serve, test_user and pour need",
    )


def test_value_that_is_an_input_needs_the_secret(project: Project) -> None:
    """A fixture whose value is an input is set up in every run, and needs its secret then."""
    _write(
        project,
        """
        @pytest.fixture
        def length(login):
            return len(login.token.reveal())

        @station(values=["length"])
        def pour(length): ...
        """,
    )
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert (run.visited, run.unchanged) == (("login",), ("pour",))


def test_value_may_have_a_secret_of_an_outcome(project: Project) -> None:
    """A received secret in a fixture's value has a digest, a secret made in the fixture has none."""
    _write(
        project,
        """
        @pytest.fixture
        def received(login):
            return login

        @pytest.fixture
        def made():
            return Secret("open")

        @station(values=["received"])
        def pour(received): ...

        @station(values=["made"])
        def serve(made): ...
        """,
    )

    runs = [project.run("--cc-run") for _ in range(2)]
    project.write("vault.txt", "another")
    runs.append(project.run("--cc-replay", "login"))

    assert [run.results["pour"] for run in runs] == ["visited", "unchanged", "visited"]
    assert runs[2].reasons["pour"] == ("outcome of login changed", "value received changed")
    assert runs[0].causes == {
        "serve": "station 'serve': value of fixture 'made' has no stable digest "
        "(Secret); use plain data: numbers, strings, bytes, collections, dataclasses, enums, "
        "paths or dates"
    }


# --- checks and cleans


def test_check_that_reveals_its_own_secret_causes_a_visit(project: Project) -> None:
    """A check that reveals the secret of its station does not pass in a later run."""
    _write(
        project,
        """
        @login.check
        def is_valid(login: Login):
            log("is_valid")
            assert login.token.reveal()
        """,
    )
    project.run("--cc-run")

    run, check = project.run("--cc-run"), project.run("--cc-check")

    assert run.reasons == {"login": ("its outcome has a secret, which check is_valid needs",)}
    assert run.log == ("is_valid", "login", "is_valid")
    assert check.failed == ("login",)


def test_check_that_reveals_nothing_passes(project: Project) -> None:
    """A check that uses its own outcome without its secret leaves its station unchanged."""
    _write(project, "@login.check\ndef is_valid(login):\n    assert login.user == 'ann'\n")
    project.run("--cc-run")

    run, check = project.run("--cc-run"), project.run("--cc-check")

    assert (run.closing, check.closing) == ("1 unchanged", "1 verified")


def test_drift_is_known_too_late_for_the_secret(project: Project, mode: str) -> None:
    """A fresh station whose check finds drift fails without the secret; the next run has it."""
    _write(
        project,
        POUR.replace("    return", "    CUP.touch()\n    return")
        + 'CUP = VAULT.with_name("cup")\n\n@pour.check\ndef is_poured():\n    assert CUP.exists()\n',
    )
    project.run("--cc-run")
    quiet = project.run("--cc-run")
    project.remove("cup")

    late, next_one = project.run("--cc-run"), project.run("--cc-run")

    assert quiet.closing == "2 unchanged"
    assert late.causes == {"pour": UNKNOWN}
    assert next_one.closing == "2 visited"


def test_clean_does_not_know_the_secret(project: Project) -> None:
    """A clean receives the outcome without its secret, and no station is visited for it."""
    _write(
        project,
        """
        @login.clean
        def log_out(login):
            log(f"{login.user} {login.token}")
            login.token.reveal()
        """,
    )
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert run.log == ("ann ***",)
    assert run.causes == {"login": UNKNOWN}


def test_previous_outcome_has_no_secret(project: Project) -> None:
    """A visit sees the previous outcome without its secret."""
    _write(project, "")
    project.edit(
        "stations.py",
        "def login() -> Login:",
        "def login(visit: Visit) -> Login:\n    log(visit.previous)",
    )
    project.run("--cc-run")

    run = project.run("--cc-replay", "login")

    assert run.log == ("Login(user='ann', token=***)", "login")


# --- plain strings that look like what stands for a secret

TOKEN = f"choochoo.secret:{'0' * 32}"
LOOKALIKE = f"""
@station
def read_log():
    log("read_log")
    return {{"{TOKEN}": ["{TOKEN}", "see {TOKEN}"]}}

@station
def read_login(login: Login) -> Login:
    log("read_login")
    return Login("{TOKEN}", login.token)

@station
def pour(read_log, read_login: Login) -> str:
    return read_login.user + read_log["{TOKEN}"][0]
"""
ASKS = f"""
def test_log(read_log, pour):
    assert read_log == {{"{TOKEN}": ["{TOKEN}", "see {TOKEN}"]}}
    assert pour == "{TOKEN}" * 2
"""


def test_string_that_looks_like_a_token_is_no_secret(project: Project, mode: str) -> None:
    """A plain string comes back as it was, and its station is not visited for a secret."""
    _write(project, LOOKALIKE, test=ASKS)

    runs = [project.run("--cc-run") for _ in range(2)]
    plain = project.run()

    assert [run.closing for run in runs] == ["4 visited", "4 unchanged"]
    assert [run.tests for run in (*runs, plain)] == [{"test_log": "passed"}] * 3


def test_clean_receives_the_string_of_a_forgotten_station(project: Project) -> None:
    """The paths of secrets outlive that a station is forgotten: its clean gets the same outcome."""
    _write(
        project,
        LOOKALIKE
        + """
@read_login.clean
def log_out(read_login):
    log(f"{read_login.user} {read_login.token}")
""",
    )
    project.run("--cc-run")
    project.run("--cc-forget", "read_login")

    run = project.run("--cc-clean", "-k", "read_login")

    assert run.log == (f"{TOKEN} ***",)


def test_record_of_an_earlier_version_is_believed(project: Project, mode: str) -> None:
    """A record without the paths of its secrets makes no station due, and is used as before."""
    _write(project, test="def test_user(login):\n    assert len(login.token.reveal()) == 16\n")
    project.run("--cc-run")
    change_records(project.path, lambda record: record.with_(secrets=None))

    fresh = project.run("--cc-run", "-k", "pour")
    asked = project.run("--cc-run")

    assert (fresh.closing, fresh.log) == ("1 unchanged", ())
    assert asked.reasons == {
        "login": ("its outcome has a secret, which test_user needs",),
        "pour": (),
    }
    assert asked.tests == {"test_user": "passed"}


# --- where it never is

LOUD = """
@station(env=["TOKEN"], files=["vault.txt"], values=["secret_user"])
def shout(login: Login, secret_user, record_property, visit: Visit) -> Login:
    token = login.token
    visit.resources["user"] = f"{login.user} {token}"
    record_property("token", f"{token}")
    print(token, login)
    import logging, warnings
    logging.getLogger().warning("%s", login)
    warnings.warn(f"{token}")
    return login

@pytest.fixture
def secret_user(login):
    return login

@station
def compare(login: Login) -> None:
    expected = Login("ann", Secret("guess"))
    assert login == expected

@station
def burn(login: Login) -> None:
    local = [login.token]
    raise RuntimeError(login, local)

@station
def keep_badly(login: Login):
    return {"token": login.token, "more": object()}

@station
def keep_worse(login: Login):
    return Secret({login.token.reveal(): object()})

@station
def serve(shout: Login): ...

@serve.check
def is_served(shout):
    assert shout.token == Secret("guess")
"""


def _found_in(folder: Path, text: str) -> list[str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "vault.txt"]
    return [str(file) for file in files if text.encode() in file.read_bytes()]


def test_secret_is_nowhere(project: Project, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file and no output has a secret in plain text, whatever fails or is shown."""
    project.use("html", "metadata")
    project.ini("filterwarnings = default")
    _write(
        project,
        LOUD,
        test="""
        def test_fails(login, shout):
            token = login.token
            assert token == "guess"

        def test_differs(login, shout):
            assert [login] == [shout, login]
        """,
    )
    monkeypatch.setenv("TOKEN", f"{CLEAR}-of-env")
    commands = [("--cc-run",), ("--cc-run", "--full-trace"), ("--cc-check",), (), ("--cc-clean",)]
    loud = ("-vv", "--showlocals", "-rA")

    runs = [
        project.run(*command, *loud, f"--junitxml={number}.xml", f"--html={number}.html")
        for number, command in enumerate(commands)
    ]

    assert set(runs[0].failed) == {"compare", "burn", "keep_badly", "keep_worse", "serve"}
    assert runs[0].tests == {"test_fails": "failed", "test_differs": "failed"}
    assert "***" in runs[0].text
    assert [run.text for run in runs if CLEAR in run.text] == []
    assert _found_in(project.path, CLEAR) == []
    assert {"0.xml", "0.html"} <= {Path(f).name for f in _found_in(project.path, "***")}
    assert (project.path / ".pytest_cache/d/choochoo/default/secret.key").stat().st_size == 32


def test_key_is_not_in_the_ledger(project: Project, mode: str) -> None:
    """The key is in a separate file, so that the ledger alone is not enough to guess values."""
    _write(project)
    project.run("--cc-run")
    folder = project.path / ".pytest_cache/d/choochoo"
    key = (folder / "default/secret.key").read_bytes()

    [ledger] = folder.glob("*.sqlite")

    assert key not in ledger.read_bytes()
    assert key.hex().encode() not in ledger.read_bytes()


def test_lost_key_makes_downstream_due(project: Project) -> None:
    """With a new key, a secret that is made again counts as another one."""
    _write(project)
    project.run("--cc-run")
    (project.path / ".pytest_cache/d/choochoo/default/secret.key").write_bytes(b"")

    run = project.run("--cc-replay", "login")

    assert run.reasons["pour"] == ("outcome of login changed",)


def test_key_that_cannot_be_read_is_not_blamed_on_the_type(project: Project, mode: str) -> None:
    """A secret whose digest cannot be made fails its station with the error of the ledger."""
    _write(project)
    key = project.path / ".pytest_cache/d/choochoo/default/secret.key"
    key.mkdir(parents=True)

    run = project.run("--cc-run")

    assert run.failed == ("login",)
    assert (
        f"the key {key} is not used: it is not a regular file; remove it: "
        "stations with env, files or products, and those whose secrets are needed, are then "
        "visited again"
    ) in run.text
    assert "holds a value of an unsupported type" not in run.text


def test_run_without_secrets_and_inputs_makes_no_key(project: Project) -> None:
    """If no outcome has a secret, and no station env, files or products, there is no key."""
    project.stations("@station\ndef boil() -> int:\n    return 100\n")

    project.run("--cc-run")

    assert not list(project.path.rglob("secret.key"))


def test_secret_cannot_be_a_resource(project: Project) -> None:
    """The error about a secret among the resources names it, but does not show it."""
    project.stations(
        """
        from pytest_choochoo import Secret

        @station
        def log_in(visit):
            visit.resources["token"] = Secret("hunter2")
        """
    )

    run = project.run("--cc-run")

    assert run.errors["log_in"] == (
        "resource 'token' of stations.py::log_in cannot be stored (Secret); "
        "use a string id and a JSON value"
    )
