"""The viewer in a browser: time to the first film, frames while a window is dragged, and fifty readers.

    python benchmarks/web.py                         # a computed pair of 2048 x 2048 pixels
    python benchmarks/web.py --size 1024 --readers 20
    python benchmarks/web.py --data FOLDER           # keeps the pair and its reading there, and uses it again

The pages are served as ``radsuite serve`` does (gunicorn, one process with threads) and shown by headless
Chromium, whose graphics processor is computed by the main one (SwiftShader): an upper limit for an office
computer. The same page is then drawn by the Canvas fallback, which the viewer prefers to a computed graphics
processor. Times of the page are from the start of its navigation, with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from suite.analysis import Analyzer
from suite.jobs.catalogue import Catalogue
from suite.jobs.database import Database, migrate
from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.queue import JobQueue
from suite.jobs.store import open_store
from suite.jobs.submission import Submission, Upload
from suite.jobs.supervisor import web_child
from suite.jobs.worker import load_study
from suite.phantom import render_study
from suite.settings import Settings, load_settings

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
STUDY = "pair"
SEED = 3001  # a patient whose film the gate accepts
DRAG_FRAMES = 120

MARKS = """() => Object.fromEntries(
  performance.getEntriesByType("mark").map(mark => [mark.name, mark.startTime]))"""
DRAG = """(frames) => new Promise((done) => {
  const stage = document.getElementById("stage");
  const box = document.querySelector('.pane[data-view="frontal"]').getBoundingClientRect();
  const viewer = document.getElementById("viewer");
  const send = (kind, dx, dy) => stage.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, cancelable: true, pointerId: 1, isPrimary: true, button: 0, buttons: 1,
    clientX: box.left + box.width / 3 + dx, clientY: box.top + box.height / 3 + dy,
  }));
  stage.setPointerCapture = () => {};
  const times = [];
  const drawnBefore = Number(viewer.dataset.drawn);
  send("pointerdown", 0, 0);
  const step = (now) => {
    times.push(now);
    if (times.length > frames) {
      send("pointerup", 0, 0);
      const gaps = times.slice(1).map((time, index) => time - times[index]);
      done({ gaps, drawn: Number(viewer.dataset.drawn) - drawnBefore });
      return;
    }
    send("pointermove", times.length % 40, times.length / 3);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
"""Moves the pointer once in each frame, as a mouse does, and notes when frames came."""


@dataclass
class Visits:
    """What fifty readers met."""

    seconds: list[float] = field(default_factory=list)
    bytes: int = 0
    errors: list[str] = field(default_factory=list)


def prepare(settings: Settings, size: int) -> None:
    """Compute a pair, hand it in, and read it with the networks that are installed."""
    study = render_study(SEED, size=size, findings=["pleural_effusion"])
    migrate(settings)
    database, store = Database(settings), open_store(settings)
    waiting: list[str] = []
    submission = Submission(database, store, waiting.append)
    with store.staging() as staging:
        uploads = []
        for view in ("frontal", "lateral"):
            path = staging / f"{STUDY}-{view}.png"
            pixels = np.rint(study.radiograph(view).pixels * 65535).astype(np.uint16)
            if not cv2.imwrite(str(path), pixels):
                raise SystemExit(f"{path}: cannot be written; check the folder.")
            uploads.append(Upload(path, f"{STUDY}{'' if view == 'frontal' else '-side'}.png"))
        submission.submit(staging, uploads[:1], {0: uploads[1]})
    analyzer = Analyzer(settings.stages, settings.device)
    queue, identity = JobQueue(database, settings, time.time), WorkerIdentity.of_this_process()
    runner = JobRunner(database, queue, store, settings, identity, analyzer=lambda: analyzer, load=load_study)
    while waiting:
        runner.run(waiting.pop())
    database.close()


def study_of(settings: Settings) -> str:
    """The id of the one study there is."""
    database = Database(settings)
    try:
        (study,) = Catalogue(database, time.time).studies()
    finally:
        database.close()
    findings = (study.done.summary or {}).get("findings") if study.done else None
    if findings is None:
        raise SystemExit(f"{settings.data}: the pair was not read; remove the folder and start again.")
    return study.id


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The pages as ``radsuite serve`` runs them."""
    spec = web_child(settings)
    process = subprocess.Popen(spec.command, env={**os.environ, **spec.environment})
    address = f"http://{settings.host}:{settings.port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/healthz").close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"{address} does not answer; see what gunicorn printed.") from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def first_times(browser: Browser, address: str, renderer: str) -> tuple[Page, dict[str, float]]:
    """Open the study with an empty cache; milliseconds until each thing was there, and megabytes."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(f"{address}?renderer={renderer}")
    page.wait_for_selector('#viewer[data-layers="all"]', timeout=120_000)
    marks: dict[str, float] = page.evaluate(MARKS)
    page.wait_for_timeout(300)
    drawn = page.locator("#viewer").get_attribute("data-renderer")
    if drawn != renderer:
        raise SystemExit(
            f"{renderer} was asked for and {drawn} is drawn with; look at the browser's options."
        )
    return page, {
        "first look": marks["radsuite-first-look"],
        "both films whole": marks["radsuite-films"],
        "all layers": marks["radsuite-layers"],
        "MB sent": sum(sizes) / 1e6,
    }


def drag_times(page: Page) -> list[float]:
    """Intervals between frames in ms while the window is dragged over the frontal film alone."""
    page.keyboard.press("s")
    page.wait_for_timeout(500)
    recorded = page.evaluate(DRAG, DRAG_FRAMES)
    if recorded["drawn"] < DRAG_FRAMES - 2:
        raise SystemExit(f"Only {recorded['drawn']} of {DRAG_FRAMES} frames were drawn; look at the page.")
    gaps: list[float] = recorded["gaps"]
    return gaps


def visit(address: str, study: str, start: threading.Barrier, visits: Visits, lock: threading.Lock) -> None:
    """One reader: the page, the film's small copy, the film, a layer, a mask and the reviews."""
    paths = [
        f"/studies/{study}",
        f"/studies/{study}/pixels/film.u16?halvings=2",
        f"/studies/{study}/pixels/film.u16",
        f"/studies/{study}/pixels/bone_suppressed.u16",
        f"/studies/{study}/pixels/lung_mask.u8",
        f"/api/v1/studies/{study}/reviews",
    ]
    start.wait()
    for path in paths:
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(address + path, timeout=120) as answer:
                content = len(answer.read())
        except OSError as error:
            with lock:
                visits.errors.append(f"{path}: {error}")
            continue
        with lock:
            visits.seconds.append(time.perf_counter() - began)
            visits.bytes += content


def many_readers(address: str, study: str, count: int) -> tuple[Visits, float]:
    """All readers at once; what they met, and the seconds it took."""
    visits, lock, start = Visits(), threading.Lock(), threading.Barrier(count + 1)
    threads = [
        threading.Thread(target=visit, args=(address, study, start, visits, lock)) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return visits, time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share * 100))


def report(browser: Browser, address: str, study: str) -> None:
    """Print the table of both ways of drawing."""
    columns = {}
    for renderer in ("webgl", "canvas"):
        page, times = first_times(browser, f"{address}/studies/{study}", renderer)
        gaps = drag_times(page)
        times |= {
            "frame while dragging, mean": statistics.mean(gaps),
            "frame while dragging, median": statistics.median(gaps),
            "frame while dragging, 95th percentile": percentile(gaps, 0.95),
        }
        columns[renderer] = times
        page.context.close()
    print(f"{'ms unless said':40s} {'WebGL':>9s} {'Canvas':>9s}")
    for name in columns["webgl"]:
        print(f"{name:40s} {columns['webgl'][name]:9.1f} {columns['canvas'][name]:9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--data", type=Path, help="folder that keeps the pair; a temporary one unless given")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium; install it with 'apt-get install chromium'.")
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary) / "data"
        settings = load_settings(data=data, port=options.port)
        if not data.exists():
            data.mkdir(parents=True)
            prepare(settings, options.size)
        study = study_of(settings)
        busy = f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
        print(f"a pair of {options.size} x {options.size} pixels; {busy}")
        with serving(settings) as address:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                report(browser, address, study)
                browser.close()
            visits, seconds = many_readers(address, study, options.readers)
            print(f"\n{options.readers} readers at once: {len(visits.seconds)} answers in {seconds:.1f} s")
            print(f"errors                 {len(visits.errors)}")
            print(f"megabytes per second   {visits.bytes / 1e6 / seconds:.0f}")
            print(f"answer, median         {statistics.median(visits.seconds):.2f} s")
            print(f"answer, 95th percentile {percentile(visits.seconds, 0.95):.2f} s")
            for line in visits.errors[:5]:
                print(line, file=sys.stderr)
            if visits.errors:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
