"""Three studies that were read, and readers in front of the pages around the viewer, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from suite.accounts.principal import LOCAL, Role
from suite.jobs.models import Job
from suite.records.reviews import Verdict
from tests.jobs_fakes import film_png
from tests.pages_house import pseudonym
from tests.viewer_desk import open_browser
from tests.web_house import House, open_house
from web.research import playground

RUN = "c" * 32

LISTEN = """document.addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""


@dataclass
class PagesRoom:
    """A service and a browser."""

    house: House
    address: str
    browser: Browser


@contextmanager
def open_pages_room(folder: Path) -> Iterator[PagesRoom]:
    """The service on ``folder`` with all that its pages can show, and a browser."""
    with (
        _furnished_house(folder) as house,
        house.open_for_browsers() as address,
        open_browser() as browser,
    ):
        yield PagesRoom(house, address, browser)


@contextmanager
def _furnished_house(folder: Path) -> Iterator[House]:
    """Three studies that were read, verdicts, a draft, an ablation, users."""
    with open_house(folder, sign_in=True, max_upload_mb=2) as opened:
        for name, role in (("ada", Role.READER), ("ben", Role.READER), ("root", Role.ADMIN)):
            opened.services.users.create(name, role)
        for number, name in enumerate(("one", "two", "three")):
            opened.take(f"{name}.png", film_png(number), "side.png", film_png(number + 10))
        opened.work()
        for name in ("one", "two"):
            opened.services.reviews.add(name, Verdict.ACCEPTED, LOCAL, finding="pleural_effusion")
        opened.services.reviews.add("one", Verdict.REJECTED, LOCAL, finding="consolidation")
        text = {"findings": "Effusion.", "impression": "1. Effusion."}
        opened.services.written.save("three", text, LOCAL, seen_version=0)
        ablation = opened.settings.data / "ablations" / "phantoms"
        ablation.mkdir(parents=True)
        (ablation / "table.csv").write_text(
            "network,finding,auc,low,high,n,positives,seeds\n"
            "film,mean,0.71,0.66,0.76,200,,5\nfilm+bone,mean,0.74,0.69,0.79,200,,5\n"
        )
        _submit_run(opened)
        with pytest.MonkeyPatch.context() as patched:  # computing a phantom is tested elsewhere
            patched.setattr(playground, "expose", lambda wish: film_png(wish.patient))
            yield opened


def _submit_run(house: House) -> None:
    with house.services.database.write() as session:
        request = {"recipe": "lungs", "data": {"jsrt": "/films"}}
        progress = {"step": 3, "total": 12}
        session.add(
            Job(
                id=RUN,
                kind="training",
                queue="train",
                state="running",
                request=request,
                progress=progress,
                created_at=1.0,
                enqueued_at=1.0,
            )
        )
    folder = house.settings.data / "training" / RUN
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("epoch 1\n")


@dataclass
class Desk:
    """One reader in front of a browser of their own."""

    page: Page
    address: str
    house: House
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def row(self, study_id: str) -> Any:
        return self.page.locator(f"#study-{pseudonym(self.house, study_id)}")

    def forget_the_missing_page(self) -> None:
        """One of the pages is that of an address where there is nothing; browsers complain of the status."""
        self.complaints[:] = [text for text in self.complaints if "404" not in text]

    def focused_row(self) -> str:
        return str(self.page.evaluate("() => document.activeElement.closest('tr')?.id ?? ''"))


@contextmanager
def desk_of(user: str, room: PagesRoom) -> Iterator[Desk]:
    """Somebody signed in; whatever the browser complains about, a broken content policy above all, fails."""
    context = room.browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.add_init_script(LISTEN)
    desk = Desk(page, room.address, room.house)

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            desk.complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    desk.open(f"/enter/{room.house.services.links.create(user)}")
    yield desk
    context.close()
    assert desk.complaints == []


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesRoom]:
    """One for all tests of a file that names it."""
    with open_pages_room(tmp_path_factory.mktemp("pages")) as opened:
        yield opened


@pytest.fixture
def desk(room: PagesRoom) -> Iterator[Desk]:
    """The administrator's."""
    with desk_of("root", room) as opened:
        yield opened


def payload(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}
