"""The page of `--cc-report` in a browser: drawn, clicked, searched, filtered, by keyboard alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo.reporting import page as pages
from pytest_choochoo.reporting.document import (
    AttemptFacts,
    Document,
    InputFacts,
    RunFacts,
    StationFacts,
    counts_of,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = "2026-01-01T00:00:{:06.3f}+00:00"
BAD = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the group `browser`")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


Opener = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Opener]:
    """Returns a function that opens the page of stations; nothing of it may fail or be loaded."""
    problems: list[str] = []
    contexts = []

    def opened(stations: tuple[StationFacts, ...], link: str = "", **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(pages.render(_document(stations)), "utf-8")
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: _note(problems, request.url, file))
        page.goto(f"{file.as_uri()}{link}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def _note(problems: list[str], url: str, file: Path) -> None:
    if not url.startswith(file.as_uri()):
        problems.append(url)


def _document(stations: tuple[StationFacts, ...]) -> Document:
    return Document(
        schema=1,
        command="run",
        profile="default",
        started=SECONDS.format(0),
        finished=SECONDS.format(50),
        exit_code=1,
        counts=counts_of(stations),
        stations=stations,
        project="tea",
        history=(
            RunFacts(
                started=SECONDS.format(0),
                command="replay",
                counts={"visited": 3, "failed": 1},
                seconds=4.0,
                exit_code=1,
            ),
        ),
    )


def _station(name: str, *upstream: str, **more: Any) -> StationFacts:
    known: dict[str, Any] = {"title": name, "reasons": ("first visit",), "seconds": 1.0}
    known |= {"node_id": f"stations.py::{name}", "result": "visited", "upstream": upstream}
    known["upstream_ids"] = tuple(f"stations.py::{each}" for each in upstream)
    return StationFacts(name=name, **known | more)


TEA = (
    _station("boil", began=SECONDS.format(1), ended=SECONDS.format(3), worker="gw0"),
    _station(
        "pour",
        "boil",
        title="Pour the water",
        began=SECONDS.format(3),
        ended=SECONDS.format(5),
        worker="gw1",
        inputs=(
            InputFacts(kind="upstream", name="boil", state="changed", old="100", new="90"),
            InputFacts(kind="file", name="cup.txt", state="same"),
        ),
        resources={"cup": "blue"},
        outcome="90 degrees",
        checks={"is_hot": "passed"},
        output="pouring",
        attempts=(
            AttemptFacts(
                began=SECONDS.format(3), status="complete", seconds=2.0, reasons=(), error=""
            ),
        ),
    ),
    _station("sip", "pour", result="failed", cause=f"Error: {BAD}", traceback=f"E  {BAD}"),
    _station("enjoy", "sip", result="blocked", blocked_by=("sip",), title="\u202e" + BAD),
    _station("wash", "pour", result="unchanged"),
)


def _large(count: int) -> tuple[StationFacts, ...]:
    """Return *count* stations in layers, each with what one usually has."""
    width = int(count**0.5)
    return tuple(
        _station(
            f"station_{number}",
            *(f"station_{number - width - number % 3}" for _ in range(number >= width + 3)),
            title=f"Station number {number}",
            result="failed" if number == count // 2 else "visited",
            began=SECONDS.format(number % 50),
            ended=SECONDS.format(number % 50 + 1),
            worker=f"gw{number % 4}",
            output=f"line {number}\n" * 20,
            outcome={"number": number},
            inputs=tuple(
                InputFacts(kind="code", name=f"stations.py::f{each}", state="same")
                for each in range(8)
            ),
        )
        for number in range(count)
    )


def _headline(page: Any) -> str:
    return str(page.inner_text("#details h2"))


def _names(page: Any) -> list[str]:
    return [each.inner_text() for each in page.query_selector_all(".row .name")]


def test_stations_are_drawn_and_can_be_clicked(open_page: Opener) -> None:
    """List, route and timeline show the stations; a click on one shows its details."""
    page = open_page(TEA)

    assert _names(page) == ["boil", "pour", "sip", "enjoy", "wash"]
    assert page.locator(".node").count() == 5
    assert page.locator("#edges path").count() == 4
    assert "pytest --cc-run" in page.inner_text("#meta")
    assert [each.inner_text() for each in page.query_selector_all(".chip")] == [
        "F\n1\nfailed", "B\n1\nblocked", "V\n2\nvisited", "U\n1\nunchanged",
    ]  # fmt: skip
    page.click(".node[data-index='1']")

    details = page.inner_text("#details")
    assert _headline(page) == "Pour the water"
    for text in ("stations.py::pour", "first visit", "100", "90", "changed", "blue", "is_hot"):
        assert text in details
    assert "pouring" in details
    assert "began 3.0 s into the session and took 2.0 s, in gw1" in details
    assert page.url.endswith("#pour")
    page.click("#details .links a:has-text('boil')")
    assert _headline(page) == "boil"


def test_bar_of_the_timeline_can_be_clicked(open_page: Opener) -> None:
    """A click on a bar shows its station."""
    page = open_page(TEA)
    box = page.locator(".lanes svg").bounding_box()

    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 18 + 24 + 12)

    assert _headline(page) == "Pour the water"


def test_search_and_filters_narrow_the_list(open_page: Opener) -> None:
    """A search looks at names, titles and errors; the counts are filters."""
    page = open_page(TEA)

    page.fill("#search", "water")
    assert _names(page) == ["pour"]
    assert page.inner_text("#found") == "1 of 5"
    page.fill("#search", "")
    page.click(".chip[data-word='failed']")
    page.click(".chip[data-word='blocked']")
    assert _names(page) == ["sip", "enjoy"]
    assert page.get_attribute(".chip[data-word='failed']", "aria-pressed") == "true"
    page.fill("#search", "nothing has this")
    assert _names(page) == []
    assert "No station fits." in page.inner_text("#rows")


def test_link_leads_to_a_station(open_page: Opener) -> None:
    """A page opened at `#station` shows it, and the history of the browser goes back."""
    page = open_page(TEA, "#sip")

    assert _headline(page) == "sip"
    page.click(".row[data-index='0']")
    assert (_headline(page), page.url.rpartition("#")[2]) == ("boil", "boil")
    page.go_back()
    assert _headline(page) == "sip"


def test_keyboard_is_enough(open_page: Opener) -> None:
    """Searching, choosing, following the route, zooming and closing need no mouse."""
    page = open_page(TEA)

    page.keyboard.press("/")
    page.keyboard.type("po")
    page.keyboard.press("ArrowDown")
    assert _headline(page) == "Pour the water"
    page.keyboard.press("Escape")
    assert _headline(page) == "Overview"
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    assert _headline(page) == "boil"
    page.keyboard.press("End")
    assert _headline(page) == "wash"
    assert page.get_attribute("#stations-list", "aria-activedescendant") == "row-4"
    page.focus("#route")
    page.keyboard.press("ArrowUp")
    assert _headline(page) == "Pour the water"
    page.keyboard.press("ArrowDown")
    assert _headline(page) == "sip"
    before = page.get_attribute("#view", "transform")
    page.keyboard.press("+")
    assert page.get_attribute("#view", "transform") != before
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "details"


def test_route_is_panned_and_zoomed(open_page: Opener) -> None:
    """The wheel zooms, dragging moves, and a drag is no click."""
    page = open_page(TEA)
    box = page.locator("#route").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen = [page.get_attribute("#view", "transform")]

    page.mouse.move(x, y)
    page.mouse.wheel(0, -200)
    seen.append(page.get_attribute("#view", "transform"))
    page.mouse.down()
    page.mouse.move(x + 60, y + 40)
    page.mouse.up()
    seen.append(page.get_attribute("#view", "transform"))
    page.click("#fit")

    assert len(set(seen)) == 3
    assert page.get_attribute("#view", "transform") == seen[0]
    assert _headline(page) == "Overview"


def test_hostile_text_stays_text(open_page: Opener) -> None:
    """Markup in titles, errors and tracebacks is shown, and not obeyed."""
    page = open_page(TEA, "#sip")

    assert page.inner_text("#details .cause") == f"Error: {BAD}"
    assert page.locator("#details img").count() == 0
    page.click(".row[data-index='3']")
    assert _headline(page) == r"\u202e" + BAD
    assert page.title() == "tea · choochoo run"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(open_page: Opener, scheme: str) -> None:
    """The page is light or dark as the system is, until the button says otherwise."""
    page = open_page(TEA, color_scheme=scheme)
    theme = "document.documentElement.dataset.theme"

    assert page.evaluate(theme) == scheme
    page.click("#theme")
    assert page.evaluate(theme) == "light"
    page.click("#theme")
    assert page.evaluate(theme) == "dark"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(theme) == "dark"


@pytest.mark.parametrize("count", [8, 200, 2000])
def test_narrow_window_needs_no_sideways_scrolling(open_page: Opener, count: int) -> None:
    """At 400 px everything is within the window, and details can be closed."""
    page = open_page(_large(count), viewport={"width": 400, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.click(".row[data-index='1']")
    assert page.locator("#details").bounding_box()["width"] <= 400
    page.click("#details .close")
    assert not page.locator("#details").is_visible()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("count", [8, 200, 2000])
def test_buttons_hide_no_station(open_page: Opener, count: int, width: int) -> None:
    """When all is shown, the whole route is below the buttons and within its pane."""
    page = open_page(_large(count), viewport={"width": width, "height": 800})

    buttons = page.locator(".overlay").bounding_box()
    pane = page.locator("#graph").bounding_box()
    drawn = page.locator("#far" if page.locator("#far").is_visible() else "#nodes").bounding_box()
    assert drawn["y"] >= buttons["y"] + buttons["height"]
    assert drawn["y"] + drawn["height"] <= pane["y"] + pane["height"]
    assert pane["x"] <= drawn["x"]
    assert drawn["x"] + drawn["width"] <= pane["x"] + pane["width"]


def test_names_stay_within_their_boxes(open_page: Opener) -> None:
    """Long and wide ones are cut, in the route and in the timeline; short ones are whole."""
    moment = {"began": SECONDS.format(1), "ended": SECONDS.format(2), "worker": "main"}
    page = open_page(
        (
            _station("W" * 40, **moment),
            _station("a_long_name_of_a_station_that_fits_nowhere", "W" * 40),
            _station("boil", ended=SECONDS.format(40), began=SECONDS.format(3), worker="main"),
        )
    )

    for node in page.locator(".node").all():
        box = node.locator("rect.box").bounding_box()
        for text in node.locator("text").all():
            drawn = text.bounding_box()
            assert drawn["x"] + drawn["width"] <= box["x"] + box["width"]
    names = [each.text_content() for each in page.locator(".node text:not([class])").all()]
    assert [each[-1] for each in names] == ["…", "…", "l"]
    assert [each.text_content() for each in page.locator(".on-bar").all()] == ["boil"]


@pytest.mark.parametrize("width", [1280, 400])
def test_overview_has_failures_and_earlier_runs(open_page: Opener, width: int) -> None:
    """In a narrow window a button leads there."""
    page = open_page(TEA, viewport={"width": width, "height": 800})
    assert page.locator("#overview").is_visible() == (width == 400)
    if width == 400:
        page.click("#overview")

    details = page.inner_text("#details")

    assert page.locator("#details").is_visible()
    assert "blocks 1" in details
    assert "replay in 4.0 s, exit code 1\n3 visited, 1 failed" in details


def test_namesakes_in_two_files_are_two_stations(open_page: Opener) -> None:
    """Edges and counts of what is blocked go by node ids."""
    stations = []
    for folder in ("a", "b"):
        stations += [
            _station(
                "boil",
                node_id=f"{folder}/stations.py::boil",
                result="failed" if folder == "a" else "visited",
            ),
            _station(
                f"pour_{folder}",
                "boil",
                upstream_ids=(f"{folder}/stations.py::boil",),
                result="blocked" if folder == "a" else "failed",
                blocked_by=("boil",) if folder == "a" else (),
            ),
        ]
    page = open_page(tuple(stations))

    assert [each.inner_text() for each in page.query_selector_all(".stop")] == [
        "F\nboil\n\nfirst visit\n\nblocks 1",
        "F\npour_b\n\nfirst visit",
    ]
    page.click(".row[data-index='3']")
    page.click("#details .links a:has-text('boil')")
    assert page.inner_text("#details .id") == "b/stations.py::boil"
    assert page.url.endswith("#b%2Fstations.py%3A%3Aboil")


def test_two_thousand_stations_are_usable_within_two_seconds(open_page: Opener) -> None:
    """Of three attempts, as the machine may be busy: drawn, and a search answered."""
    stations = _large(2000)
    assert len(pages.render(_document(stations)).encode()) <= 3_000_000
    took = []
    for _ in range(3):
        page = open_page(stations)
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        took.append(page.evaluate("performance.now()") / 1000)
        began = time.monotonic()
        page.fill("#search", "station_1999")
        page.wait_for_selector(".row[aria-setsize='1']")
        took[-1] += time.monotonic() - began
        page.close()

    assert min(took) < 2, took


def test_page_prints_all_stations(open_page: Opener) -> None:
    """On paper there is a table of the stations, light even in the dark."""
    page = open_page(TEA, color_scheme="dark")

    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")

    assert page.locator("#print tbody tr").count() == 5
    assert page.locator("#print").is_visible()
    assert not page.locator("#list").is_visible()
    assert page.pdf()[:4] == b"%PDF"
