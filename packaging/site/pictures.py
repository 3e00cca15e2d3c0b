"""Makes the pictures of docs/pictures anew: the report and the dashboard of the honeypot's week, as Debian's Chromium shows them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from console import served  # noqa: E402

from browser import Page, chromium  # noqa: E402

TARGET: Final = ROOT / "docs" / "pictures"
LOG: Final = ROOT / "tests" / "fixtures" / "case" / "decisions.jsonl.bz2"

#: The largest picture that is committed.
LARGEST: Final = 150_000

#: Each picture: its width, whether it is dark, and where on the page it begins: a selector, "" for the top.
PICTURES: Final = {
    "report.png": (1100, False, ""),
    "report-actor.png": (1100, False, "section.actor"),
}

#: The dashboard, for a Prometheus without Grafana.
DASHBOARD: Final = "dashboard.png"


def part(page: Page, selector: str, height: int) -> bytes:
    """The window of a page, scrolled to where the selector's first element stands."""
    if selector:
        page.run(f"document.querySelector({selector!r}).scrollIntoView()")
    return page.window(height)


def main() -> int:
    """Writes all pictures; exit code 1 where one is too large to be committed."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = folder / "report.html"
        # 1: it found attackers, which is what is to be seen.
        done = subprocess.run(
            [Path(sys.executable).with_name("sipsieve"), "analyze", LOG, "--html", report],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600,
        )  # fmt: skip
        if done.returncode > 1:
            print(f"sipsieve analyze ended with {done.returncode}", file=sys.stderr)
            return 1
        with served(LOG, folder) as dashboard, chromium(folder / "profile") as page:
            pages = {picture: (report.as_uri(), *how) for picture, how in PICTURES.items()}
            pages[DASHBOARD] = (dashboard, 1100, False, "")
            for picture, (address, width, dark, selector) in pages.items():
                page.show(address, width, dark)
                made = part(page, selector, 640)
                (TARGET / picture).write_bytes(made)
                print(f"docs/pictures/{picture}: {len(made)} bytes")
                if len(made) > LARGEST:
                    print(f"{picture}: more than {LARGEST} bytes", file=sys.stderr)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
