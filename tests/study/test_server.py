"""The server: blind, idempotent, and deaf to whatever the plan does not name."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from setseq.errors import StudyError
from setseq.study.server import StudyServer
from setseq.study.session import Study
from setseq.study.wire import parse_range
from tests.study.folders import TITLES, held, make_bench

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ALL = "identity=a&motion=b&prompt=a&overall=b"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return held(make_bench(tmp_path / "bench"), pairs=6)


@pytest.fixture
def server(study: Study) -> Iterator[StudyServer]:
    with StudyServer(study) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Visitor:
    """Whoever sends requests to a server, and keeps all that comes back."""

    def __init__(self, server: StudyServer) -> None:
        self.port = server.server_port
        self.seen: list[bytes] = []

    def send(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        extra = {name.replace("_", "-"): text for name, text in headers.items()}
        if method == "POST":
            extra = FORM | extra
        connection.request(method, path, body, extra)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        self.seen += [str(reply.headers).encode(), path.encode(), content]
        return reply, content

    def join(self, participant: str = "aaaa-bbbb") -> str:
        reply, _ = self.send("POST", "/join", f"participant={participant}")
        assert reply.status == 303
        return str(reply.headers["Location"])


@pytest.fixture
def visitor(server: StudyServer) -> Visitor:
    return Visitor(server)


def test_nothing_that_a_participant_gets_names_a_method(visitor: Visitor, study: Study):
    _, page = visitor.send("GET", "/")
    [participant] = re.findall(r'name="participant" value="([^"]*)"', page.decode())
    place = visitor.join(participant)
    for position in range(1, 7):
        reply, _ = visitor.send("GET", place)
        assert reply.headers["Location"] == f"{place}/{position}"
        _, page = visitor.send("GET", f"{place}/{position}")
        sources = re.findall(r'(?:src|href|action|data-answers)="(/[^"]*)"', page.decode())
        assert len([source for source in sources if source.endswith(".mp4")]) == 3
        for source in sources:
            if not source.endswith("/answers"):
                visitor.send("GET", source)
        visitor.send("POST", f"{place}/{position}", ALL)
    _, page = visitor.send("GET", place)
    assert b"Thank you" in page
    visitor.send("GET", "/s/aaaa-aaaa")
    visitor.send("POST", f"{place}/1", "colour=a")
    names = {name.lower() for pair in TITLES.items() for name in pair}
    for content in visitor.seen:
        for name in names:
            assert name.encode() not in content.lower()
    assert len(study.answers.all()) == 24


def test_the_videos_are_those_of_the_plan(visitor: Visitor, study: Study):
    place = visitor.join()
    found = study.answers.trial("aaaa-bbbb", 3)
    assert found is not None
    for name, path in study.files(found[0]).items():
        reply, content = visitor.send("GET", f"{place}/3/{name}.mp4")
        assert content == path.read_bytes()
        assert reply.headers["Content-Type"] == "video/mp4"
        assert reply.headers["Last-Modified"] is None


def test_the_text_of_a_page_is_escaped(tmp_path: Path):
    folder = make_bench(tmp_path)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("creature", "<script>1</script>"))
    with StudyServer(held(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        visitor = Visitor(server)
        _, page = visitor.send("GET", f"{visitor.join()}/1")
        server.shutdown()
        thread.join()
    assert b"&lt;script&gt;1" in page
    assert b"<script>" not in page


def test_whoever_comes_back_goes_on_where_they_were(visitor: Visitor):
    place = visitor.join()
    visitor.send("POST", f"{place}/1", ALL)
    for code in ("aaaa-bbbb", "AAAABBBB", "%20aaaa-bbbb"):
        reply, _ = visitor.send("POST", "/resume", f"participant={code}")
        assert (reply.status, reply.headers["Location"]) == (303, place)
    reply, _ = visitor.send("GET", place)
    assert reply.headers["Location"] == f"{place}/2"
    reply, _ = visitor.send("GET", f"{place}/5")
    assert reply.headers["Location"] == f"{place}/2"
    _, page = visitor.send("GET", f"{place}/1")
    assert re.findall(r'name="(\w+)" value="(\w)" required checked', page.decode()) == [
        ("identity", "a"),
        ("motion", "b"),
        ("prompt", "a"),
        ("overall", "b"),
    ]


def test_a_code_that_nobody_has_is_said_so(visitor: Visitor, study: Study):
    reply, page = visitor.send("POST", "/resume", "participant=zzzz-%3Czzz")
    assert reply.status == 404
    assert "Nobody here has the code “zzzz-&lt;zzz”" in page.decode()
    assert study.answers.participants() == []


def test_posts_that_come_twice_change_nothing(visitor: Visitor, study: Study):
    place = visitor.join()
    visitor.join()
    assert study.answers.participants() == ["aaaa-bbbb"]
    reply, _ = visitor.send("POST", f"{place}/1/answers", "motion=a")
    assert reply.status == 204
    once = study.answers.all()
    visitor.send("POST", f"{place}/1/answers", "motion=a")
    visitor.send("POST", f"{place}/1", "motion=a")
    assert study.answers.all() == once


def test_participants_who_come_at_once_get_places_of_their_own(visitor: Visitor, study: Study):
    names = [f"aaaa-bbb{letter}" for letter in "bcdfghjk"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visitor.join, names))
    assert sorted(study.answers.participants()) == names
    assert all(study.answers.count(name) == 6 for name in names)


@pytest.mark.parametrize(
    "path",
    [
        "/manifest.json",
        "/study.sqlite",
        "/../manifest.json",
        "/videos/lora-8/robot/0-0.mp4",
        "/s/aaaa-bbbb/1/../../../../manifest.json",
        "/s/aaaa-bbbb/1/..%2f..%2fmanifest.json",
        "/s/aaaa-bbbb/1/%2e%2e/reference.mp4",
        "/s/aaaa-bbbb/1/c.mp4",
        "/s/aaaa-bbbb/1/a.mp4/x",
        "/s/aaaa-bbbb/0/a.mp4",
        "/s/aaaa-bbbb/7/a.mp4",
        "/s/aaaa-bbbb/7",
        "/s/cccc-dddd/1/a.mp4",
        "/s/cccc-dddd",
        "/templates/trial.html",
        "/trial.html",
        "//etc/passwd",
        "/s/aaaa-bbbb/1/a.mp4%00",
    ],
)
def test_nothing_but_the_plan_is_served(visitor: Visitor, path: str):
    visitor.join()
    reply, _ = visitor.send("GET", path)
    assert reply.status == 404


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/s/aaaa-bbbb/1", "colour=a", {}, 400),
        ("/s/aaaa-bbbb/1", "motion=c", {}, 400),
        ("/s/aaaa-bbbb/1", "motion=same", {}, 400),  # not offered in this study
        ("/s/aaaa-bbbb/1", "motion=a&colour=a", {}, 400),
        ("/s/aaaa-bbbb/1", "motion=\xff", {}, 400),
        ("/s/aaaa-bbbb/1", "&".join(f"q{n}=a" for n in range(40)), {}, 400),
        ("/s/aaaa-bbbb/1", "motion=" + "a" * 5000, {}, 413),
        ("/s/aaaa-bbbb/1", "", {"Content_Length": "-1"}, 411),
        ("/s/aaaa-bbbb/1", "", {"Content_Length": "9" * 30}, 413),
        ("/s/aaaa-bbbb/1", "{}", {"Content_Type": "application/json"}, 415),
        ("/s/aaaa-bbbb/1", "motion=a", {"Host": "evil.example"}, 421),
        ("/s/aaaa-bbbb/1", "motion=a", {"Origin": "http://evil.example"}, 403),
        ("/s/aaaa-bbbb/1", "motion=a", {"Origin": "null"}, 403),
        ("/s/aaaa-bbbb/7", "motion=a", {}, 404),
        ("/s/cccc-dddd/1", "motion=a", {}, 404),
        ("/join", "participant=a", {}, 400),
        ("/join", "", {}, 400),
        ("/study.css", "", {}, 405),
        ("/", "", {}, 405),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_kept(
    visitor: Visitor, study: Study, path: str, body: str, headers: dict[str, str], status: int
):
    visitor.join()
    reply, _ = visitor.send("POST", path, body, **headers)
    assert reply.status == status
    assert study.answers.all() == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
def test_pages_are_shown_under_this_machines_names_alone(visitor: Visitor, host: str):
    assert visitor.send("GET", "/", Host=host)[0].status == 421
    assert visitor.send("GET", "/", Host=f"localhost:{visitor.port}")[0].status == 200


def test_an_own_origin_is_accepted(visitor: Visitor, study: Study):
    place = visitor.join()
    origin = f"http://127.0.0.1:{visitor.port}"
    assert visitor.send("POST", f"{place}/1", ALL, Origin=origin)[0].status == 303
    assert len(study.answers.all()) == 4


def test_other_methods_are_unknown(visitor: Visitor):
    assert visitor.send("DELETE", "/")[0].status == 501


def test_pages_load_nothing_from_elsewhere_and_run_nothing_of_others(visitor: Visitor):
    reply, page = visitor.send("GET", f"{visitor.join()}/1")
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert b"http" not in page
    assert b"style=" not in page
    assert re.search(rb"\son\w+=", page) is None
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "status", "part", "said"),
    [
        (None, 200, slice(None), None),
        ("bytes=0-0", 206, slice(0, 1), "bytes 0-0/128"),
        ("bytes=3-9", 206, slice(3, 10), "bytes 3-9/128"),
        ("bytes=100-", 206, slice(100, None), "bytes 100-127/128"),
        ("bytes=100-900", 206, slice(100, None), "bytes 100-127/128"),
        ("bytes=-5", 206, slice(-5, None), "bytes 123-127/128"),
        ("bytes=128-", 416, slice(0, 0), "bytes */128"),
        ("bytes=0-1,4-5", 200, slice(None), None),
        ("bytes=9-3", 200, slice(None), None),
        ("lines=1-2", 200, slice(None), None),
    ],
)
def test_browsers_can_seek(
    visitor: Visitor, study: Study, asked: str | None, status: int, part: slice, said: str | None
):
    place = f"{visitor.join()}/1/a.mp4"
    found = study.answers.trial("aaaa-bbbb", 1)
    assert found is not None
    content = study.files(found[0])["a"].read_bytes()
    headers = {} if asked is None else {"Range": asked}
    reply, received = visitor.send("GET", place, **headers)
    assert (reply.status, received) == (status, content[part])
    assert reply.headers["Content-Range"] == said
    assert reply.headers["Accept-Ranges"] == "bytes"
    head, nothing = visitor.send("HEAD", place, **headers)
    assert (head.status, nothing) == (status, b"")
    assert head.headers["Content-Length"] == reply.headers["Content-Length"]


def test_an_empty_part_is_no_part():
    assert parse_range("bytes=-0", 9) == range(9, 9)
    assert parse_range("bytes=-", 9) is None


def test_one_connection_takes_several_requests(visitor: Visitor):
    connection = HTTPConnection("127.0.0.1", visitor.port, timeout=10)
    for body in ("participant=aaaa-bbbb", "participant=cccc-dddd"):
        connection.request("POST", "/join", body, FORM)
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (303, b"")
    connection.close()


def test_a_video_that_went_away_is_said_so(visitor: Visitor, study: Study):
    place = visitor.join()
    found = study.answers.trial("aaaa-bbbb", 1)
    assert found is not None
    study.files(found[0])["b"].unlink()
    assert visitor.send("GET", f"{place}/1/b.mp4")[0].status == 404


def test_answers_that_cannot_be_kept_are_not_said_to_be(
    visitor: Visitor, study: Study, capfd: pytest.CaptureFixture[str]
):
    place = visitor.join()
    study.answers.path.write_bytes(b"no database any more" * 50)
    reply, page = visitor.send("POST", f"{place}/1/answers", "motion=a")
    assert reply.status == 503
    assert b"Nothing could be saved" in page
    assert capfd.readouterr().err.startswith("setseq: ")


def test_a_port_in_use_is_one_line(server: StudyServer, study: Study):
    with pytest.raises(StudyError, match=f"port {server.server_port} is in use; give --port"):
        StudyServer(study, server.server_port)


def test_only_this_machine_is_listened_to(server: StudyServer):
    assert server.socket.getsockname()[0] == "127.0.0.1"
