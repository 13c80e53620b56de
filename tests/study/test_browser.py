"""A whole study in a real Chromium: shown, left, resumed, ended, counted."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

from setseq.study.server import StudyServer
from setseq.study.session import read_results
from tests.study.browser import chromium
from tests.study.folders import held, make_bench, make_playable
from tests.surface import run

PLAYING = (
    "document.querySelectorAll('video').length === 3"
    " && [...document.querySelectorAll('video')].every(v => v.currentTime > 0.2 && !v.paused)"
)


def test_a_study_is_held_in_a_real_browser(tmp_path: Path):
    folder = make_playable(tmp_path / "bench")
    with chromium(tmp_path / "profile") as browser:
        command = [sys.executable, "-m", "setseq", "study", "serve", str(folder), "--pairs", "3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                line = next(line for line in server.stdout if line.startswith("open http"))
                browser.open(line.split()[1])
                browser.click("form[action='/join'] button")

                # the first pair by keys, each answer kept before the page is left
                browser.wait(PLAYING)
                assert browser.run("return document.querySelector('h1').innerText") == "Pair 1 of 3"
                browser.press("p")
                browser.wait("[...document.querySelectorAll('video')].every(v => v.paused)")
                browser.press("a", "b", "b")
                browser.wait(
                    "document.getElementById('state').innerText === '3 of 4 answered and saved'"
                )
                assert len(read_results(folder).answers) == 3
                browser.press("a", "Enter")

                # the second with the pointer; then the browser is closed, as it were
                browser.wait("document.querySelector('h1').innerText === 'Pair 2 of 3'")
                for name in ("identity", "motion", "prompt", "overall"):
                    browser.click(f"input[name={name}][value=b]")
                browser.click("button.main")
                browser.wait("document.querySelector('h1').innerText === 'Pair 3 of 3'")
                code = browser.run("return document.querySelector('.code').innerText")
                browser.open("about:blank")

                # back by code
                browser.open(line.split()[1])
                browser.type("#participant", code.upper())
                browser.press("Enter")
                browser.wait("document.querySelector('h1').innerText === 'Pair 3 of 3'")
                assert browser.run("return document.querySelector('progress').value") == 2
                browser.wait(PLAYING)
                browser.press("b", "b", "2", "a", "a", "a", "Enter")
                browser.wait("document.querySelector('h1').innerText === 'Thank you'")
                browser.click("main a")
                browser.wait("document.getElementById('state')?.innerText.startsWith('4 of 4')")
                browser.wait(PLAYING)
            finally:
                server.send_signal(signal.SIGINT)
                try:
                    rest, _ = server.communicate(timeout=30)
                finally:
                    server.kill()
        assert (server.returncode, rest.startswith("ended; ")) == (0, True)

        # the study has ended, the page is still open
        browser.click("input[name=motion][value=b]")
        browser.wait("document.getElementById('state').innerText.startsWith('Not saved!')")
    choices = [answer.choice for answer in read_results(folder).answers]
    assert "".join(choices) == "abba" + "bbbb" + "baaa"
    assert run("study", "export", folder).exit_code == 0
    table = json.loads((folder / "study.json").read_text())
    assert (table["participants"], table["finished"], table["answers"]) == (1, 1, 12)


def test_a_video_that_cannot_be_played_is_named(tmp_path: Path):
    folder = make_bench(tmp_path / "bench")  # whose videos are no videos
    with chromium(tmp_path / "profile") as browser, StudyServer(held(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            browser.open(server.url)
            browser.click("form[action='/join'] button")
            shown = "document.querySelectorAll('figcaption .problem:not([hidden])')"
            browser.wait(f"{shown}.length === 3")
        finally:
            server.shutdown()
            thread.join()
