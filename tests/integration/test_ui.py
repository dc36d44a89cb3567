"""The UI: what it does for the person who started it, and for nobody else.

A real `muster ui`, real HTTP, real WebSockets, a real browser. What is tried is what another page
in the same browser, or another account of the machine, could try.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import browser, wait
from house import SEEDS, House
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

LAUNCH = """
    mutation($job: String!, $config: RunConfigData, $tags: [ExecutionTag!]) {
        launchRun(executionParams: {
            selector: {
                repositoryLocationName: "dagster_project.definitions"
                repositoryName: "__repository__"
                jobName: $job
            }
            runConfigData: $config
            executionMetadata: {tags: $tags}
        }) {
            __typename
            ... on LaunchRunSuccess {run {runId}}
            ... on RunConfigValidationInvalid {errors {message}}
        }
    }
"""
# The same in one address, as an image or a form has it: `missing_feeds` needs no data.
HARMFUL = """
    mutation {
        launchRun(executionParams: {
            selector: {
                repositoryLocationName: "dagster_project.definitions"
                repositoryName: "__repository__"
                jobName: "missing_feeds"
            }
            runConfigData: {ops: {look: {config: {day: "2026-01-01"}}}}
        }) {__typename}
    }
"""
LOCATION = "/locations/__repository__@dagster_project.definitions"
RUNS = "{runsOrError {... on Runs {results {runId status jobName parentRunId}}}}"


@dataclass(frozen=True)
class Served:
    """A running `muster ui`."""

    house: House
    port: int
    token: str
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"muster_ui_{self.port}={self.token}"

    @property
    def own(self) -> dict[str, str]:
        """The headers of a request that the UI's own page makes."""
        return {
            "Origin": f"http://{self.host}",
            "Cookie": self.cookie,
            "Content-Type": "application/json",
        }

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, str]:
        """Status and text."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as conn:
            conn.request(method, path, body, headers)
            answer = conn.getresponse()
            return answer.status, answer.read().decode(errors="replace")

    def graphql(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        status, text = self.ask("POST", "/graphql", self.own, body)
        assert status == 200, text
        return json.loads(text)["data"]

    def launch(self, job: str, config: dict[str, Any], **tags: str) -> dict[str, Any]:
        pairs = [{"key": f"dagster/{name}", "value": value} for name, value in tags.items()]
        found = self.graphql(LAUNCH, job=job, config=json.dumps(config), tags=pairs)
        return dict(found["launchRun"])

    def runs(self) -> list[dict[str, str]]:
        return list(self.graphql(RUNS)["runsOrError"]["results"])


@contextmanager
def served(house: House, told: Path) -> Iterator[Served]:
    """`muster ui` on a port of its own, until the body ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with told.open("wb") as output:
        process = subprocess.Popen(
            house.command("ui", "--port", str(port)), stdout=output, stderr=output
        )
    try:
        printed = until(lambda: re.search(r"\?token=([\w-]+)", told.read_text()))
        one = Served(house, port, printed[1], process)
        # Listening from the first moment, answering when the definitions are loaded.
        until(lambda: one.ask("GET", "/server_info", {"Cookie": one.cookie})[0] == 200)
        yield one
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(happened: Callable[[], Any], seconds: float = 100) -> Any:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if found := happened():
            return found
        time.sleep(0.2)
    raise AssertionError(f"it did not happen within {seconds} seconds")


def new_house(folder: Path) -> House:
    (folder / "landing").mkdir()
    return House(folder / "home", folder / "landing", SEEDS)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("ui")
    with served(new_house(folder), folder / "told") as one:
        yield one


def test_the_person_who_started_it_launches_a_run(ui: Served) -> None:
    """Everything below is refused for what it lacks, not because nothing works."""
    before = len(ui.runs())
    config = {"ops": {"look": {"config": {"day": "2026-01-01"}}}}
    assert ui.launch("missing_feeds", config)["__typename"] == "LaunchRunSuccess"
    assert len(ui.runs()) == before + 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"Cookie": ""}, 401),
        ({"Cookie": "muster_ui_{port}=guessed"}, 401),
        ({"Origin": None}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        # Another server of this machine, which gets the same cookies.
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        # A name of the attacker's that leads to 127.0.0.1 by now: its page is of the same origin.
        ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, 400),
        ({"Host": "localhost.evil.example", "Origin": "http://localhost.evil.example"}, 400),
        ({"Host": "127.0.0.1:{port}@evil", "Origin": "http://127.0.0.1:{port}@evil"}, 400),
        # What a form can send, and what Dagster takes for JSON all the same.
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=b"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": "application/graphql"}, 415),
        ({"Content-Type": None}, 415),
        # Through SSH it is another name and port.
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
    ],
)
def test_a_post_is_taken_from_the_uis_own_page_with_the_token(
    ui: Served, change: dict[str, str | None], status: int
) -> None:
    before = len(ui.runs())
    changed = {
        name: None if value is None else value.replace("{port}", str(ui.port))
        for name, value in change.items()
    }
    headers = {name: value for name, value in ({**ui.own, **changed}).items() if value is not None}
    address = "/graphql?" + _encoded(HARMFUL)
    body = json.dumps({"query": HARMFUL}).encode()
    assert ui.ask("POST", address, headers, body)[0] == status
    assert len(ui.runs()) == before + (status == 200)


def _encoded(query: str) -> str:
    from urllib.parse import urlencode

    return urlencode({"query": query})


@pytest.mark.parametrize(
    "path", ["/graphql", "/graphql/", "/graphql%0A", "//graphql", "/x/graphql"]
)
@pytest.mark.parametrize("accept", ["image/*", "*/*", "text/html"])
def test_nothing_is_run_by_get(ui: Served, path: str, accept: str) -> None:
    """With the very cookie: what `<img>`, a link or a redirect can do once it is in."""
    before = len(ui.runs())
    ui.ask("GET", f"{path}?{_encoded(HARMFUL)}", {"Cookie": ui.cookie, "Accept": accept})
    assert len(ui.runs()) == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
def test_other_methods_run_nothing(ui: Served, method: str) -> None:
    before = len(ui.runs())
    ui.ask(method, f"/graphql?{_encoded(HARMFUL)}", ui.own)
    assert len(ui.runs()) == before


def test_no_page_is_shown_without_the_token(ui: Served) -> None:
    for path in ("/", "/graphql", "/runs", "/server_info", "/favicon.png", "/download_debug/x"):
        status, text = ui.ask("GET", path, {})
        assert (status, "muster ui" in text) == (401, True), path
    assert ui.ask("GET", "/?token=guessed", {})[0] == 401


def test_the_printed_address_leads_to_one_without_the_token(ui: Served) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", ui.port, timeout=60)) as conn:
        conn.request("GET", f"/runs?view=all&token={ui.token}", headers={"Host": ui.host})
        answer = conn.getresponse()
        answer.read()
    assert answer.status == 303
    assert answer.headers["Location"] == f"http://{ui.host}/runs?view=all"
    cookie = answer.headers["Set-Cookie"]
    assert ui.token in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    # No other page frames what is shown, or reads it.
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Cookie": ""}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": None}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 400),
    ],
)
def test_a_websocket_is_refused_like_a_post(
    ui: Served, change: dict[str, str | None], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused, websocket(ui, change):
        pass
    assert refused.value.response.status_code == status


def test_a_websocket_of_the_uis_own_page_listens_and_runs_nothing(ui: Served) -> None:
    before = len(ui.runs())
    with websocket(ui, {}) as conn:
        conn.send(json.dumps({"type": "connection_init"}))
        assert json.loads(conn.recv(30))["type"] == "connection_ack"
        conn.send(json.dumps({"type": "start", "id": "1", "payload": {"query": HARMFUL}}))
        assert json.loads(conn.recv(30))["type"] == "error"
    assert len(ui.runs()) == before


def websocket(ui: Served, change: dict[str, str | None]) -> Any:
    """Over a socket of our own, so that the Host header can be anybody's."""
    headers: dict[str, str | None] = {"Cookie": ui.cookie, "Origin": f"http://{ui.host}", **change}
    host = headers.pop("Host", None) or ui.host
    origin = headers.pop("Origin")
    return connect(
        f"ws://{host}/graphql",
        sock=socket.create_connection(("127.0.0.1", ui.port)),
        origin=origin,  # type: ignore[arg-type]
        additional_headers={name: value for name, value in headers.items() if value},
        subprotocols=["graphql-ws"],  # type: ignore[list-item]
        proxy=None,
    )


def test_the_ui_cannot_commit_money_on_a_typed_name(ui: Served) -> None:
    """What only a command may do is not there to be launched, by whichever mutation."""
    before = len(ui.runs())
    asked = {"number": "A-1", "reason": "r", "by": "Mallory", "on": "2026-02-01"}
    found = ui.launch("cancel_invoice", {"ops": {"take_back": {"config": asked}}})
    assert found["__typename"] == "PipelineNotFoundError"
    approval = {
        "period": "2026-01",
        "distributor_id": "alpenland",
        "currency": "EUR",
        "by": "Mallory",
        "total_amount": "1.00",
        "version_set_sha256": "0",
    }
    config = {"ops": {"invoices__release": {"config": {"approvals": [approval]}}}}
    found = ui.launch("month_end", config, partition="2026-01")
    assert found["__typename"] == "RunConfigValidationInvalid"
    assert len(ui.runs()) == before
    jobs = """
        {repositoryOrError(repositorySelector: {
            repositoryLocationName: "dagster_project.definitions", repositoryName: "__repository__"
        }) {... on Repository {jobs {name}}}}
    """
    names = {one["name"] for one in ui.graphql(jobs)["repositoryOrError"]["jobs"]}
    assert {"daily_refresh", "month_end", "rebuild", "missing_feeds"} <= names
    assert "cancel_invoice" not in names


def test_another_account_finds_no_other_door(ui: Served) -> None:
    """Only the guarded port is listened on; sockets, history and settings are the owner's."""
    ports = subprocess.run(["ss", "-ltnHp"], capture_output=True, text=True, check=True).stdout
    family = {str(ui.process.pid), *map(str, children(ui.process.pid))}
    ours = [line.split()[3] for line in ports.splitlines() if family & set(_pids(line))]
    assert ours == [ui.host]
    sockets = subprocess.run(["ss", "-lxHp"], capture_output=True, text=True, check=True).stdout
    paths = [line.split()[4] for line in sockets.splitlines() if family & set(_pids(line))]
    assert paths
    for path in [*map(Path, paths), *(ui.house.home / "dagster").rglob("*")]:
        mode = path.stat().st_mode
        assert not mode & 0o027, f"{path} {oct(mode)}"
    # Nor is the token to be seen in the list of processes.
    for pid in family:
        assert ui.token not in Path(f"/proc/{pid}/cmdline").read_text()


def _pids(line: str) -> list[str]:
    return re.findall(r"pid=([0-9]+)", line)


def children(pid: int) -> list[int]:
    """Its children and theirs."""
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    threads = Path(f"/proc/{pid}/task").iterdir()
    found += [int(one) for thread in threads for one in (thread / "children").read_text().split()]
    found = sorted(set(found))
    return [*found, *(below for one in found for below in children(one))]


def test_a_second_ui_of_one_home_is_refused(ui: Served) -> None:
    told = ui.house.muster("ui", "--port", "1" + str(ui.port)[-4:], expect=1)
    assert f"Process {ui.process.pid} (muster ui) serves" in told


# What the pages did: an image, a form of each type that a form can have, a script's request
# that needs no leave from the server, and a WebSocket.
EVIL = """
<!doctype html><title>evil</title>
<img src="{ui}/graphql?{query}"><iframe name="frame"></iframe><iframe src="{ui}/"></iframe>
<form id="a" method="post" target="frame" action="{ui}/graphql?{query}"></form>
<form id="b" method="post" target="frame" action="{ui}/graphql?{query}" enctype="text/plain">
<input name='{{"query": "' value='"}}'></form>
<form id="c" method="post" target="frame" action="{ui}/graphql?{query}"
enctype="multipart/form-data"></form>
<script>
const later = (ms) => new Promise((done) => setTimeout(done, ms));
(async () => {{
    for (const id of ["a", "b", "c"]) {{ document.getElementById(id).submit(); await later(500); }}
    const body = JSON.stringify({{query: {text}}});
    for (const type of ["text/plain", "application/json"]) {{
        const asked = {{method: "POST", credentials: "include", body,
            headers: {{"Content-Type": type}}}};
        await fetch("{ui}/graphql", asked).catch(() => 0);
        await fetch("{ui}/graphql", {{...asked, mode: "no-cors"}}).catch(() => 0);
    }}
    const socket = new WebSocket("{ws}/graphql", "graphql-ws");
    await new Promise((done) => {{ socket.onopen = () => done("open"); socket.onerror = done; }});
    document.title = socket.readyState === 1 ? "in" : "out";
}})();
</script>
"""


def test_another_page_of_the_same_browser_does_nothing(ui: Served, tmp_path: Path) -> None:
    """While the person is in the UI: from another site, and from another port of this machine, to
    which the browser gives the UI's cookie."""
    page = EVIL.format(
        ui=f"http://{ui.host}",
        ws=f"ws://{ui.host}",
        query=_encoded(HARMFUL),
        text=json.dumps(HARMFUL),
    )
    before = len(ui.runs())
    with other_site(page) as port, browser(tmp_path) as driver:
        driver.get(f"http://{ui.host}/?token={ui.token}")
        for name in ("localhost", "127.0.0.1"):
            driver.get(f"http://{name}:{port}/")
            assert wait(lambda: driver.title in ("in", "out") and driver.title) == "out"
            # The frame that asked for the UI shows nothing of it.
            driver.switch_to.frame(1)
            assert "Dagster" not in driver.page_source
            driver.switch_to.default_content()
    assert len(ui.runs()) == before


@contextmanager
def other_site(page: str) -> Iterator[int]:
    """A server that answers everything with one page."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_ui_works_in_a_browser(ui: Served, tmp_path: Path) -> None:
    """With the printed address: its pages show what there is, and their script launches a run."""
    before = len(ui.runs())
    with browser(tmp_path) as driver:
        driver.get(f"http://{ui.host}/?token={ui.token}")
        assert ui.token not in driver.current_url
        for path, shown in (
            ("/assets/invoices/release", "The gate: a record per distributor"),
            (
                "/locations/__repository__@dagster_project.definitions/jobs/rebuild",
                "Make warehouse",
            ),
        ):
            driver.get(f"http://{ui.host}{path}")
            if folder := os.environ.get("MUSTER_TESTS_PICTURES"):
                time.sleep(8)
                driver.save_screenshot(f"{folder}/ui{path.count('/')}.png")
            until(lambda shown=shown: shown in driver.find_element("tag name", "body").text)
        answer = driver.execute_async_script(_POST, HARMFUL)
        assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
        errors = [one for one in driver.get_log("browser") if one["level"] == "SEVERE"]
    assert errors == []
    assert len(ui.runs()) == before + 1


_POST = """
const [query, done] = arguments;
fetch("/graphql", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({query})
}).then((answer) => answer.json()).then(done);
"""
