"""The pages without a browser: what is taken, what is refused, what every answer carries."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from suite.errors import StageError
from tests.jobs_fakes import COLUMNS, HOT_COLUMN, HOT_ROW, ROWS, film_array, film_png
from tests.web_house import House, open_house
from web import presentation

HTML = {"Accept": "text/html"}
SCRIPTED = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "data", max_upload_mb=2) as opened:
        yield opened


def token(client: FlaskClient, page: str = "/") -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get(page, headers=HTML).text)
    assert found
    return found[1]


def upload(
    client: FlaskClient, *files: tuple[str, bytes], accept: str = "text/html", **fields: Any
) -> TestResponse:
    body: dict[str, Any] = {"files": [(io.BytesIO(content), name) for name, content in files], **fields}
    headers = {"Accept": accept, "X-CSRF-Token": token(client)}
    return client.post("/studies", data=body, headers=headers, content_type="multipart/form-data")


@pytest.fixture
def read(house: House) -> House:
    """A service that has read one pair of pictures as the study ``chest``."""
    lateral = {"lateral-0": (io.BytesIO(film_png(2)), "side.png")}
    assert upload(house.client, ("chest.png", film_png(1)), **lateral).status_code == 303
    house.work()
    return house


def test_an_empty_list_says_what_to_do(house: House) -> None:
    page = house.client.get("/", headers=HTML)
    assert page.status_code == 200
    assert "Nothing to read yet" in page.text
    assert "Not a medical device" in page.text


def test_a_film_is_taken_read_and_listed(read: House) -> None:
    page = read.client.get("/").text
    assert "Frontal and lateral" in page
    assert "abnormal" in page
    assert "74 %" in page
    assert "Pleural effusion" in page


def test_a_list_tells_waiting_running_failed_and_refused_apart(house: House) -> None:
    client = house.client
    upload(client, ("chest.png", film_png(1)))
    assert "waiting" in client.get("/").text
    seen: list[str] = []
    house.analyzer.before = lambda stage: seen.append(client.get("/studies/rows").text)
    house.work()
    assert "Checking the film" in seen[0]
    assert 'data-active="yes"' in seen[0]
    house.analyzer.before = None
    house.analyzer.accepted = False
    upload(client, ("knee.png", film_png(2)))
    house.work()
    assert "refused by the gate" in client.get("/").text

    def fail(stage: str) -> None:
        raise ZeroDivisionError

    house.analyzer.before = fail
    upload(client, ("odd.png", film_png(3)))
    house.work()
    assert "not read" in client.get("/").text
    assert "Try again" in client.get("/studies/odd").text


def test_the_study_page_shows_numbers_states_gate_and_provenance(read: House) -> None:
    page = read.client.get("/studies/chest").text
    assert "95 % interval 61 % to 84 %, operating point 50 %" in page
    assert "ab" * 32 in page
    assert "used range 2000..62000" in page
    assert "Gate: accepted" in page
    assert "left upper" in page
    assert "21 504 px" in page


def test_a_finding_that_was_not_trained_has_no_number(read: House) -> None:
    page = read.client.get("/studies/chest").text
    button = re.search(
        r'<button class="finding not_trained"[^>]*data-code="fracture".*?</button>', page, re.DOTALL
    )
    assert button
    assert "not trained" in button[0]
    assert "%" not in button[0]
    assert '"fracture": {' not in page  # the viewer is given no heatmap of it


def test_a_refused_film_can_be_read_all_the_same(house: House) -> None:
    client = house.client
    house.analyzer.accepted = False
    upload(client, ("knee.png", film_png()))
    house.work()
    page = client.get("/studies/knee").text
    assert "The gate refused this film" in page
    assert "The lungs are not in the picture." in page
    assert client.get("/studies/knee/pixels/film.u16").status_code == 200  # refused, but it can be looked at
    form = {"override_gate": "yes", "csrf_token": token(client)}
    assert client.post("/studies/knee/jobs", data=form).status_code == 303
    house.work()
    page = client.get("/studies/knee").text
    assert "Read against the gate" in page
    assert house.analyzer.runs[-1] == ("knee", True)


def test_single_checks_are_ticked_on_the_page_that_refuses(house: House) -> None:
    client = house.client
    house.analyzer.accepted = False
    upload(client, ("knee.png", film_png()))
    house.work()
    page = client.get("/studies/knee").text
    assert re.findall(r'name="override_check" value="(\w+)"( checked)?', page) == [("chest", "")]
    form = {"override_gate": "ticked", "override_check": ["chest"], "csrf_token": token(client)}
    assert client.post("/studies/knee/jobs", data=form).status_code == 303
    house.work()
    assert "Read against the gate" in client.get("/studies/knee").text
    assert house.analyzer.runs[-1] == ("knee", ("chest",))
    line = next(line for line in house.services.trail.lines() if line.action == "job.requested")
    assert (line.detail or {})["override_checks"] == ["chest"]
    assert (line.detail or {})["override_gate"] is False


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ([], "No check of the gate was ticked"),
        (["chest", "nose"], "check &#39;nose&#39; is none of the gate"),
    ],
)
def test_no_check_or_a_wrong_one_is_told_and_nothing_is_asked_for(
    house: House, checks: list[str], sentence: str
) -> None:
    upload(house.client, ("knee.png", film_png()))
    house.work()
    client = house.client
    form = {"override_gate": "ticked", "override_check": checks, "csrf_token": token(client)}
    answer = client.post("/studies/knee/jobs", data=form, headers=HTML)
    assert (answer.status_code, house.sent.empty()) == (422, True)
    assert sentence in answer.text


def test_what_was_overruled_is_asked_for_again_after_a_failure(house: House) -> None:
    def fail(_stage: str) -> None:
        raise StageError("gate: no memory.")

    upload(house.client, ("knee.png", film_png()))
    house.work()
    house.analyzer.before = fail
    house.services.publish(house.services.queue.submit("knee", override_checks=["chest"]))
    house.work()
    page = house.client.get("/studies/knee/progress").text
    assert '<input type="hidden" name="override_check" value="chest">' in page


def test_a_check_that_was_overruled_is_said_so_beside_its_words() -> None:
    (row,) = presentation.check_rows(
        {"header_orientation": {"passed": False, "value": None, "message": "It lies.", "overridden": True}}
    )
    assert (row.name, row.label, row.overruled) == ("header_orientation", "Header orientation", True)


def test_a_script_gets_the_fate_of_every_file(house: House) -> None:
    answer = upload(house.client, ("chest.png", film_png()), ("a.txt", b"hello"), accept="application/json")
    name = house.services.catalogue.studies()[0].display_id
    assert answer.status_code == 200
    assert answer.json == {
        "accepted": [{"id": name, "url": f"/studies/{name}", "names": ["chest.png"], "new": True}],
        "refused": [
            {"name": "a.txt", "sentence": "a.txt: not a picture or DICOM file; export the film again."}
        ],
    }


def test_a_person_gets_a_page_on_what_was_refused(house: House) -> None:
    answer = upload(house.client, ("film.dcm", b"<html><script>alert(1)</script></html>"))
    assert answer.status_code == 422
    assert "Nothing was taken" in answer.text
    assert "film.dcm: not a picture" in answer.text
    assert not list((house.settings.data / "incoming").iterdir())


def test_no_file_at_all_is_said(house: House) -> None:
    answer = upload(house.client)
    assert answer.status_code == 422
    assert "choose one or more films" in answer.text


def test_too_large_an_upload_is_a_readable_error(house: House) -> None:
    client = house.client
    headers = {"X-CSRF-Token": token(client), "Accept": "application/json"}
    answer = client.post(
        "/studies",
        data={"files": (io.BytesIO(b"the beginning"), "large.png")},
        headers=headers,
        content_type="multipart/form-data",
        environ_overrides={"CONTENT_LENGTH": "4000000"},
    )
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"
    assert json.loads(answer.data)["detail"] == "One upload may hold 2 MB; hand in fewer films at a time."


def test_names_are_shown_harmlessly_and_never_used_as_paths(house: House) -> None:
    client = house.client
    names = (SCRIPTED, "../../../etc/passwd.png", "..\\..\\boot.png", "\x01a.png", "ü" * 300 + ".png")
    for seed, name in enumerate(names):
        assert upload(client, (name, film_png(seed))).status_code == 303
    house.work()
    pages = client.get("/").text + "".join(
        client.get(url).text for url in re.findall(r"/studies/[\w-]{9}(?=\")", client.get("/").text)
    )
    assert "<img src=x" not in pages
    assert "&lt;img src=x" in pages
    inside = {path.parent.name for path in (house.settings.data / "studies").rglob("source/*")}
    assert inside == {"source"}
    assert not list(house.settings.data.parent.glob("*.png"))
    names_on_disk = {path.name for path in (house.settings.data / "studies").rglob("source/*")}
    assert names_on_disk == {"frontal.png"}


@pytest.mark.parametrize(
    "address",
    [
        "/studies/unknown",
        "/studies/unknown/report.json",
        "/studies/unknown/progress",
        "/studies/unknown/thumbnail.png",
        "/studies/unknown/pixels/film.u16",
        "/studies/..%2f..%2fetc",
        "/nothing",
        "/viewer/..%2fsecurity.py",
        "/static/..%2faccess.py",
    ],
)
def test_what_does_not_exist_is_a_page_with_a_way_back(house: House, address: str) -> None:
    answer = house.client.get(address, headers=HTML)
    assert answer.status_code == 404
    assert "Go to the list of studies" in answer.text


@pytest.mark.parametrize(
    "layer",
    ["film.u8", "heatmap-edema-lateral.u8", "heatmap-nothing-frontal.u8", "session.key.u16", "lung_mask.u16"],
)
def test_layers_that_are_not_stored_are_404(read: House, layer: str) -> None:
    assert read.client.get(f"/studies/chest/pixels/{layer}").status_code == 404


def test_a_study_without_report_says_so(house: House) -> None:
    upload(house.client, ("chest.png", film_png()))
    answer = house.client.get("/studies/chest/report.json", headers=HTML)
    assert answer.status_code == 404
    assert "no report yet" in answer.text


def test_the_report_is_a_download(read: House) -> None:
    with read.client.get("/studies/chest/report.json") as answer:
        assert "attachment" in answer.headers["Content-Disposition"]
        assert json.loads(answer.data)["study"]["id"] == "chest"


def test_film_pixels_arrive_as_they_are_stored(read: House) -> None:
    for layer, seed in (("film", 1), ("film_lateral", 2)):
        answer = read.client.get(f"/studies/chest/pixels/{layer}.u16")
        assert (answer.headers["X-Rows"], answer.headers["X-Columns"]) == (str(ROWS), str(COLUMNS))
        values = np.frombuffer(answer.data, "<u2").reshape(ROWS, COLUMNS)
        np.testing.assert_array_equal(values, film_array(seed))


def test_pixels_are_compressed_where_that_pays(read: House) -> None:
    plain = read.client.get("/studies/chest/pixels/lung_mask.u8")
    packed = read.client.get("/studies/chest/pixels/lung_mask.u8", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 10
    assert gzip.decompress(packed.data) == plain.data
    noise = read.client.get("/studies/chest/pixels/film.u16", headers={"Accept-Encoding": "gzip"})
    assert len(noise.data) <= film_array().nbytes


def test_pixels_are_sent_once(read: House) -> None:
    first = read.client.get("/studies/chest/pixels/film.u16")
    again = read.client.get(
        "/studies/chest/pixels/film.u16", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_a_heatmap_keeps_its_place(read: House) -> None:
    answer = read.client.get("/studies/chest/pixels/heatmap-edema-frontal.u8")
    heat = np.frombuffer(answer.data, np.uint8).reshape(ROWS, COLUMNS)
    rows, columns = np.nonzero(heat == 255)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == (HOT_ROW, HOT_COLUMN)


def test_derived_layers_come_on_the_films_scale(read: House) -> None:
    """A 12-bit inverted source: its greys 4000 (black) to 96 (white) become 0 to 65535."""
    study = read.services.catalogue.study("chest")
    assert study is not None
    assert study.done is not None
    path = read.services.store.file("chest", str(study.done.reading), "report.json")
    report = json.loads(path.read_text())
    report["provenance"]["grey_scale"]["frontal"] = {"black": 4000.0, "white": 96.0}
    path.write_text(json.dumps(report))
    for name, stored in (("bone_suppressed", 2048), ("bone_subtracted", 1952)):
        assert cv2.imwrite(str(path.with_name(f"{name}.png")), np.full((ROWS, COLUMNS), stored, np.uint16))
    for name in ("bone_suppressed", "bone_subtracted"):
        sent = np.frombuffer(read.client.get(f"/studies/chest/pixels/{name}.u16").data, "<u2")
        assert set(sent) == {32768}  # half of the scale, either way: 1952 / 3904


def test_a_thumbnail_is_a_small_picture(read: House) -> None:
    answer = read.client.get("/studies/chest/thumbnail.png")
    picture = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert max(picture.shape) == 144
    assert picture[:, 2].mean() < 20
    assert picture[:, -3].mean() > 230


def test_every_answer_carries_the_policy(read: House) -> None:
    for address in ("/", "/studies/chest", "/nothing", "/static/theme.css", "/viewer/main.js", "/healthz"):
        with read.client.get(address) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_hold_no_inline_script_or_style(read: House) -> None:
    for address in ("/", "/studies/chest", "/nothing", "/login"):
        page = read.client.get(address, headers=HTML).text
        assert not re.search(r"\sstyle=|\son\w+=|<style", page)
        for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
            assert "application/json" in attributes or ("src=" in attributes and not content.strip())


def test_a_post_without_the_sessions_token_is_refused(read: House) -> None:
    client = read.client
    assert client.post("/studies/chest/jobs", data={"override_gate": "yes"}).status_code == 400
    own = token(client)
    other = read.app.test_client()
    token(other)
    assert other.post("/studies/chest/jobs", data={"csrf_token": own}).status_code == 400
    assert client.post("/studies/chest/jobs", data={"csrf_token": own}).status_code == 303
    assert read.client.post("/studies", headers={"X-CSRF-Token": ""}).status_code == 400


def test_the_session_cookie_is_kept_to_this_site(house: House) -> None:
    cookie = house.client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_a_foreign_host_name_is_not_served_without_a_login(house: House) -> None:
    assert house.client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert house.client.get("/", headers={"Host": "127.0.0.1:8080"}).status_code == 200


def test_health_is_json_and_notices_a_lost_database(house: House) -> None:
    assert (house.client.get("/healthz").json or {})["status"] == "ok"
    house.services.database.close()
    for path in house.settings.data.glob("radsuite.sqlite3*"):
        path.unlink()
    assert house.client.get("/healthz").status_code == 503


def test_a_lost_report_is_a_page_not_a_trace(read: House) -> None:
    for path in (read.settings.data / "studies").rglob("report.json"):
        path.write_text("{")
    answer = read.client.get("/studies/chest", headers=HTML)
    assert answer.status_code == 422
    assert "stored report cannot be read" in answer.text


def test_an_unforeseen_failure_is_a_neutral_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("web.worklist.render_template", fail)
    answer = house.client.get("/", headers=HTML)
    assert answer.status_code == 500
    assert "secret detail" not in answer.text


def test_a_missing_worker_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.studies.IDLE_WORKER_SECONDS", -1.0)
    upload(house.client, ("chest.png", film_png()))
    assert "No worker is taking up work" in house.client.get("/").text
    assert "No worker is taking up work" in house.client.get("/studies/chest").text


class TestLogin:
    """Where a secret is set, nothing but the door and the sign of life is open."""

    SECRET = "correct horse battery staple"

    @pytest.fixture
    def client(self, tmp_path: Path) -> Iterator[FlaskClient]:
        with open_house(tmp_path / "data", secret=self.SECRET) as house:
            yield house.client

    def enter(self, client: FlaskClient, secret: str, wanted: str = "/studies/rows") -> TestResponse:
        form = {"token": secret, "next": wanted, "csrf_token": token(client, "/login")}
        return client.post("/login", data=form, headers=HTML)

    def test_everything_leads_to_the_door(self, client: FlaskClient) -> None:
        answer = client.get("/studies/chest", headers=HTML)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=/studies/chest")
        refused = client.get("/studies/chest/pixels/film.u16")
        assert (refused.status_code, "Nobody is signed in here" in refused.text) == (401, True)
        assert client.get("/viewer/main.js").status_code == 401
        assert client.get("/healthz").status_code == 200
        with client.get("/static/theme.css") as answer:
            assert answer.status_code == 200

    def test_the_token_opens_it_and_signing_out_closes_it(self, client: FlaskClient) -> None:
        assert self.enter(client, "wrong").status_code == 401
        answer = self.enter(client, self.SECRET)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/studies/rows")
        assert client.get("/", headers=HTML).status_code == 200
        client.post("/logout", data={"csrf_token": token(client)})
        assert client.get("/", headers=HTML).status_code == 302

    @pytest.mark.parametrize(
        "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
    )
    def test_the_door_leads_to_this_site_only(self, client: FlaskClient, wanted: str) -> None:
        assert self.enter(client, self.SECRET, wanted).headers["Location"] == "/"

    def test_guessing_is_ended(self, client: FlaskClient) -> None:
        for _ in range(10):
            assert self.enter(client, "wrong").status_code == 401
        answer = self.enter(client, self.SECRET)
        assert answer.status_code == 429
        assert "wait five minutes" in answer.text
