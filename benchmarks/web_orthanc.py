"""The frontal film of a computed patient in Orthanc's own web viewer, beside ``benchmarks/web.py``.

    python benchmarks/web_orthanc.py                 # a film of 2048 x 2048 pixels, five visits
    python benchmarks/web_orthanc.py --size 1024 --visits 3

Needs Debian's orthanc and orthanc-webviewer; Orthanc runs on private ports and storage. Time is from the
start of the navigation, with an empty browser cache, until the canvas shows something that is not black. The
first visit includes Orthanc's own decoding, which it then keeps.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

from playwright.sync_api import Browser, sync_playwright

from suite.phantom.cohort import CohortSettings, write_cohort

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancWebViewer.so")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SHOWN = """() => [...document.querySelectorAll("canvas")].some((canvas) => {
  if (!canvas.width) return false;
  const { data } = canvas.getContext("2d").getImageData(canvas.width / 4, canvas.height / 4, 64, 64);
  return data.some((value, index) => index % 4 < 3 && value > 16);
})"""


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    """A running Orthanc with the web viewer; gives its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": free_port(),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/system", timeout=2).close()
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        else:
            sys.exit(f"Orthanc ended by itself; its log is {folder / 'orthanc.log'}.")
        yield address
    finally:
        process.terminate()
        process.wait(30)


def call(address: str, body: bytes | None = None) -> Any:
    """Orthanc's answer to a GET, or to a POST of ``body``."""
    with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=60) as answer:
        return json.load(answer)


def visit(browser: Browser, page_address: str) -> tuple[float, int]:
    """Milliseconds until the film is on the canvas, and bytes received until then."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    received: list[int] = []
    page.on("requestfinished", lambda request: received.append(request.sizes()["responseBodySize"]))
    started = time.perf_counter()
    page.goto(page_address)
    page.wait_for_function(SHOWN, polling=20, timeout=120_000)
    elapsed = 1000 * (time.perf_counter() - started)
    context.close()
    return elapsed, sum(received)


def main() -> None:
    """Compute, serve, visit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--visits", type=int, default=5)
    arguments = parser.parse_args()
    if not PLUGIN.exists():
        sys.exit(f"{PLUGIN} is not there; install Debian's orthanc and orthanc-webviewer.")
    with tempfile.TemporaryDirectory() as scratch:
        cohort = Path(scratch) / "cohort"
        write_cohort(CohortSettings(seed=5, size=arguments.size, dicom=True), 1, cohort, workers=1)
        film = min(cohort.glob("*/dicom/*.dcm"), key=lambda path: len(path.name))  # the lateral's is longer
        with orthanc(Path(scratch)) as address, sync_playwright() as playwright:
            instance = call(f"{address}/instances", film.read_bytes())["ID"]
            series = call(f"{address}/instances/{instance}")["ParentSeries"]
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
            visits = [
                visit(browser, f"{address}/web-viewer/app/viewer.html?series={series}")
                for _ in range(arguments.visits)
            ]
            browser.close()
    later = [elapsed for elapsed, _ in visits[1:]] or [visits[0][0]]
    print(f"| one film of {arguments.size} x {arguments.size} in Orthanc's viewer | |")
    print("|---|---|")
    print(f"| first visit, ms | {visits[0][0]:.0f} |")
    print(f"| later visits, median ms | {statistics.median(later):.0f} |")
    print(f"| MB received | {visits[-1][1] / 1e6:.1f} |")


if __name__ == "__main__":
    main()
