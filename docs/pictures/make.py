"""Make the pictures of the documentation again, from real runs of the example project.

`python -m tox run -e pictures` runs it. Each terminal is an SVG that rich writes of what an
emulated terminal shows; the page is what Chromium shows of the report of the last run.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import pyte
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.style import Style
from rich.text import Text

HERE = Path(__file__).parent
EXAMPLE = HERE.parent.parent / "example_project"
HOME_OF_THE_EXAMPLE = "~/.local/state/choochoo-guestbook"
COLUMNS, ROWS = 84, 40
PATIENCE = 60.0
# The colours that pyte names, as rich names them.
COLOURS = {"brown": "yellow"}

Seen = Callable[[list[str]], bool]


class Terminal:
    """A terminal in the *folder* in which commands run one after the other, and are pictured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        bin_folder = str(Path(sys.executable).parent)
        self._environment = os.environ | {
            "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]),
            "TERM": "xterm-256color",
        }
        for name in ("CI", "BUILD_NUMBER", "NO_COLOR", "PYTEST_ADDOPTS", "COLUMNS", "LINES"):
            self._environment.pop(name, None)

    def run(self, command: str, picture: str = "", when: Seen | None = None) -> None:
        """Run *command*, and make the *picture* when its lines are as wanted, else at its end."""
        screen = pyte.Screen(COLUMNS, ROWS)
        stream, decoder = pyte.Stream(screen), getincrementaldecoder("utf-8")()
        main, other = pty.openpty()
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=self._folder,
            stdin=other,
            stdout=other,
            stderr=other,
            env=self._environment,
            start_new_session=True,
        )
        os.close(other)
        end = time.monotonic() + PATIENCE
        is_made = False
        while (data := _read(main)) is not None:
            assert time.monotonic() < end, f"{command} takes too long"
            # The emulator knows no variation selectors, and loses what stands behind one.
            stream.feed(decoder.decode(data).replace("\N{VARIATION SELECTOR-16}", ""))
            if (
                when is not None
                and not is_made
                and when([line.rstrip() for line in screen.display])
            ):
                draw(screen, command, HERE / picture)
                is_made = True
        process.wait()
        os.close(main)
        if picture and not is_made:
            assert when is None, f"{command} never showed what {picture} is to show"
            draw(screen, command, HERE / picture)


def _read(number: int) -> bytes | None:
    """Return what has come, None at the end."""
    if not select.select([number], [], [], 0.02)[0]:
        return b""
    with suppress(OSError):  # Linux reports the end of the other side so
        return os.read(number, 65536) or None
    return None


def draw(screen: pyte.Screen, command: str, file: Path) -> None:
    """Write what *screen* shows to *file*, below the *command*."""
    lines = [_line(screen, number) for number in range(screen.lines)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ {command}", style="bold"))
        for line in lines:
            console.print(line, soft_wrap=True)
        svg = console.export_svg(title="pytest-choochoo", unique_id=file.stem)
    # Viewers have a monospaced font; none is fetched from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    file.write_text(svg, encoding="utf-8")


def photograph(page: Path, file: Path) -> None:
    """Write what Chromium shows of *page*, with one station selected, to *file*."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        window = browser.new_page(viewport={"width": 1280, "height": 800})
        window.goto(f"{page.as_uri()}#run_app")
        window.screenshot(path=file, animations="disabled")
        browser.close()


def _line(screen: pyte.Screen, number: int) -> Text:
    cells = [screen.buffer[number][column] for column in range(screen.columns)]
    line = Text()
    for (colour, bold), run in groupby(cells, lambda cell: (cell.fg, cell.bold)):
        style = Style(color=COLOURS.get(colour, colour), bold=bold)
        line.append("".join(cell.data for cell in run), style)
    line.rstrip()
    return line


def is_halfway(lines: list[str]) -> bool:
    """Return whether about a half of the app has been downloaded."""
    return any(re.search(r"Download App .* [4-9]\d\.\d/", line) for line in lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "guestbook"
        shutil.copytree(
            EXAMPLE, project, ignore=shutil.ignore_patterns(".pytest_cache", "__pycache__")
        )
        settings = project / "settings.toml"
        text = settings.read_text("utf-8").replace(HOME_OF_THE_EXAMPLE, f"{folder}/world")
        settings.write_text(text.replace(" = 174", " = 274"), "utf-8")  # not the reader's own ports
        terminal = Terminal(project)
        try:
            pictures(terminal, project)
        finally:
            terminal.run("pytest --cc-clean -q")


def pictures(terminal: Terminal, project: Path) -> None:
    """Go through the tutorial."""
    terminal.run("pytest --cc-plan", "plan.svg")
    terminal.run("pytest --cc-run", "first-run.svg")
    page = project / "app" / "page.html"
    page.write_text(page.read_text("utf-8") + "<!-- a longer page -->\n" * 6_000, "utf-8")
    terminal.run("pytest --cc-run")
    page.write_text(page.read_text("utf-8") + "<!-- another edition -->\n", "utf-8")
    terminal.run("pytest --cc-run -n 2", "run.svg", is_halfway)
    settings = project / "settings.toml"
    good = settings.read_text("utf-8")
    settings.write_text(good.replace("= 20", '= "many"'), "utf-8")
    terminal.run("pytest --cc-run --tb=no", "failure.svg")
    settings.write_text(good, "utf-8")
    terminal.run("pytest --cc-explain run_app", "explain.svg")
    terminal.run("pytest --cc-run --cc-report report.html")
    photograph(project / "report.html", HERE / "page.png")
    terminal.run("pytest --cc-status", "status.svg")


if __name__ == "__main__":
    main()
