"""The bench as a whole, on a tiny random model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.baselines import METHODS as INSTALLED
from setseq.baselines import Method
from setseq.bench import folder as folder_module
from setseq.bench import run as run_module
from setseq.bench import work as work_module
from setseq.bench.devices import device_name
from setseq.bench.eyes import check_readable
from setseq.bench.folder import Folder
from setseq.bench.plan import Plan, make_plan
from setseq.bench.registry import Methods
from setseq.bench.results import NOT_NOTED
from setseq.bench.run import run_bench
from setseq.bench.settings import BenchSettings
from setseq.bench.work import Bench
from setseq.config import GenerateSettings
from setseq.errors import (
    BenchError,
    ClipError,
    EncoderError,
    Interrupted,
    PromptError,
    SettingsError,
)
from setseq.evaluation.measure import Encoders
from setseq.models.registry import load_model
from setseq.training.loop import StepReport
from tests.bench import fake

ROOT = Path(__file__).parents[2]
METHODS = ("lora-1", "set-and-sequence")


def _run(settings: BenchSettings, root: Path, **options: Any) -> Path:
    return run_bench(settings, root, processes=1, methods=fake.methods, **options)


@pytest.fixture(scope="module")
def done(base: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished bench; copy it before changing it."""
    root = tmp_path_factory.mktemp("bench") / "done"
    _run(fake.settings(base, clip), root)
    return root


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def _files(root: Path, *kinds: str) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for kind in kinds
        for path in sorted((root / kind).rglob("*"))
        if path.is_file()
    }


def test_everything_lies_where_the_documentation_says(done: Path):
    names = {path.relative_to(done).as_posix() for path in done.rglob("*") if path.is_file()}
    cells = [f"{method}/square/{edit}-0" for method in METHODS for edit in ("own", "0", "1")]
    assert names == {
        "manifest.json",
        "results.json",
        "tables.md",
        "report.html",
        "gallery.html",
        "references/square.mp4",
        *(f"concepts/{method}/square.safetensors" for method in METHODS),
        *(f"concepts/{method}/square.json" for method in METHODS),
        *(f"videos/{cell}.mp4" for cell in cells),
        *(f"cells/{cell}.json" for cell in cells),
    }


def test_the_manifest_says_what_the_folder_holds(done: Path):
    manifest = json.loads((done / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["methods"] == {"lora-1": "LoRA-1", "set-and-sequence": "Set-and-Sequence"}
    assert manifest["edits"][0] == {
        "name": "red snow",
        "prompt": "a red [v] character in the snow",
    }
    assert manifest["seeds"] == [0]
    assert manifest["concepts"]["square"]["prompts"] == [
        "a red [v1] character in the snow. it is [u1] bouncing",
        "a blue [v1] character, it is [u1]",
    ]


def test_the_results_have_a_row_a_cell(done: Path):
    results = json.loads((done / "results.json").read_text())
    assert [(row["method"], row["edit"]) for row in results["cells"]] == [
        (method, edit)
        for method in ("lora-1", "set-and-sequence")
        for edit in ("own", "red snow", "blue")
    ]
    for row in results["cells"]:
        assert 0 <= row["mse"] <= 1
        assert 0 <= row["motion_global"] <= 1
    for row in results["learnings"]:
        assert row["duration_s"] > 0


def test_the_tables_say_how_each_method_was_learned_and_is_shown(done: Path):
    rows = json.loads((done / "results.json").read_text())["learnings"]
    assert [(row["way"]["rank"], row["way"]["shown_with_estimates"]) for row in rows] == [
        (1, False),
        (2, False),
    ]
    assert "| LoRA-1 | 1 | 0 | 0 | no | 0 | 0 | no |" in (done / "tables.md").read_text()


def _blind_bench(plan: Plan, base: Path, known: Mapping[str, Method]) -> Bench:
    """A bench that measures nothing and is never run."""
    return Bench(
        plan=plan,
        folder=Folder(Path("unused")),
        model=load_model(base),
        encoders=Encoders(clip=None, things=None),
        methods=replace(fake.methods(), known=known),
    )


def test_a_method_decides_how_it_is_shown(base: Path, clip: Path):
    plan = make_plan(fake.settings(base, clip, generate={"self_conditioning": True}))
    known = {
        **fake.KNOWN,
        "lora-1": replace(fake.KNOWN["lora-1"], generate=INSTALLED["lora-1"].generate),
    }
    bench = _blind_bench(plan, base, known)
    assert not bench.generate_settings("lora-1", 3).self_conditioning
    shown = bench.generate_settings("set-and-sequence", 3)
    assert (shown.self_conditioning, shown.seed) == (True, 3)


@pytest.mark.parametrize("key", ["rank", "set_steps"])
def test_what_a_method_decides_cannot_be_set(key: str, base: Path, clip: Path, tmp_path: Path):
    known = {**fake.KNOWN, "lora-1": replace(fake.KNOWN["lora-1"], steps=(0.5, 2.0))}
    settings = fake.settings(base, clip, method={"lora-1": {key: 3}})
    many = replace(fake.methods(), known=known)
    with pytest.raises(SettingsError, match=rf"\[method.lora-1\] sets {key}, which the method"):
        run_bench(settings, tmp_path / "new", methods=lambda: many)
    assert not (tmp_path / "new").exists()


def test_a_bench_counts_the_steps_that_a_method_makes(base: Path, clip: Path):
    plan = make_plan(fake.settings(base, clip, learn={"set_steps": 4, "sequence_steps": 6}))
    longer = replace(fake.KNOWN["lora-1"], steps=(0.5, 2.0))
    bench = _blind_bench(plan, base, {**fake.KNOWN, "lora-1": longer})
    assert [bench.num_steps(each) for each in plan.learnings()] == [14, 10]


def test_what_no_encoder_can_measure_is_left_out_and_said(base: Path, clip: Path, copy: Path):
    notes: list[str] = []
    _run(fake.settings(base, clip), copy, on_note=notes.append)
    assert [note.split(" (")[0] for note in notes] == [
        "left out: C-T, TC and edit success",
        "left out: identity",
        "left out: ID of faces",
        "left out: the judge's reading",
    ]
    rows = json.loads((copy / "results.json").read_text())["cells"]
    assert not {"clip_text", "identity", "face_identity", "judged_identity"} & rows[0].keys()
    assert "C-T" not in (copy / "tables.md").read_text().split("The paper's Table 2")[0]


def test_a_finished_cell_is_never_redone(
    base: Path, clip: Path, copy: Path, calls: list[tuple[str, int]]
):
    before = _files(copy, "cells", "concepts", "videos")
    (copy / "cells" / "lora-1" / "square" / "0-0.json").unlink()
    (copy / "cells" / "lora-1" / "square" / "1-0.json").write_text('{"mse": 0.5}')
    _run(fake.settings(base, clip), copy)
    assert calls == []
    after = _files(copy, "cells", "concepts", "videos")
    assert after.pop("cells/lora-1/square/1-0.json") == b'{"mse": 0.5}'
    before.pop("cells/lora-1/square/1-0.json")
    measured, again = (
        json.loads(files.pop("cells/lora-1/square/0-0.json")) for files in (before, after)
    )
    assert again == measured | {"device": NOT_NOTED}
    assert after == before


def test_a_lost_video_is_made_again_bit_by_bit_and_measured_as_before(
    base: Path, clip: Path, copy: Path, calls: list[tuple[str, int]]
):
    before = _files(copy, "cells", "concepts", "videos")
    (copy / "cells" / "lora-1" / "square" / "0-0.json").unlink()
    (copy / "videos" / "lora-1" / "square" / "0-0.mp4").unlink()
    _run(fake.settings(base, clip), copy)
    assert calls == []
    assert _files(copy, "cells", "concepts", "videos") == before


def test_more_methods_and_seeds_go_into_the_same_folder(
    base: Path, clip: Path, copy: Path, calls: list[tuple[str, int]]
):
    before = _files(copy, "cells", "concepts", "videos")
    three = ["lora-1", "lora-8", "set-and-sequence"]
    _run(fake.settings(base, clip, methods=three), copy)
    assert calls == [("lora-8", 0)]
    more = {"methods": ["lora-1"], "reference": "lora-1", "seeds": [0, 5], "training_seeds": [0, 2]}
    _run(fake.settings(base, clip, **more), copy)
    assert calls == [("lora-8", 0), ("lora-1", 2)]
    after = _files(copy, "cells", "concepts", "videos")
    assert before.items() <= after.items()
    assert {"videos/lora-1/square/0-5.mp4", "videos/lora-1/square/0-5.t2.mp4"} <= after.keys()
    first, second = (f"concepts/lora-1/square{name}.safetensors" for name in ("", ".t2"))
    assert after[first] != after[second]
    assert len(json.loads((copy / "results.json").read_text())["cells"]) == 3 * 2 * 2


def test_a_stopped_bench_goes_on_to_the_same_result(
    base: Path, clip: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = 0

    def stop(learn: Any) -> Any:
        def learn_and_stop(*args: Any, on_step: Any, **kwargs: Any) -> Any:
            def step(report: StepReport) -> None:
                nonlocal seen
                seen += 1
                on_step(report)
                if seen == 8:  # in the second learning
                    raise KeyboardInterrupt

            return learn(*args, on_step=step, **kwargs)

        return learn_and_stop

    def stopping() -> Methods:
        known = fake.methods()
        return replace(known, learn=stop(known.learn))

    settings = fake.settings(base, clip)
    with pytest.raises(Interrupted, match=r"3 of 6 cells .* the same command goes on"):
        run_bench(settings, tmp_path / "new", processes=1, methods=stopping)
    assert len(json.loads((tmp_path / "new" / "results.json").read_text())["cells"]) == 3
    assert "LoRA-1" in (tmp_path / "new" / "tables.md").read_text()
    assert (tmp_path / "new" / "gallery.html").exists()
    stopped = json.loads(next((tmp_path / "new").rglob("*.stopped.json")).read_text())
    assert stopped["duration_s"] > 0
    stopped_at = next((tmp_path / "new").rglob("*.stopped.json"))
    stopped_at.write_text(json.dumps({"duration_s": 1000.0, "peak_bytes": 2**60}))
    _run(settings, tmp_path / "new")
    for kind in ("videos", "cells"):
        assert _files(tmp_path / "new", kind) == _files(done, kind)
    name = "concepts/set-and-sequence/square"
    assert (tmp_path / "new" / f"{name}.safetensors").read_bytes() == (
        done / f"{name}.safetensors"
    ).read_bytes()
    record = json.loads((tmp_path / "new" / f"{name}.json").read_text())
    assert 1000 < record["duration_s"] < 1100
    assert record["peak_bytes"] == 2**60
    assert {path.suffix for path in (tmp_path / "new" / "concepts").rglob("*.*")} == {
        ".safetensors",
        ".json",
    }
    assert not list((tmp_path / "new").rglob("*.stopped.json"))


def test_a_method_that_is_another_by_now_is_not_mixed_in(base: Path, clip: Path, copy: Path):
    other = replace(fake.KNOWN["lora-1"], rate=50.0)
    changed = replace(fake.methods(), known={**fake.KNOWN, "lora-1": other})
    with pytest.raises(BenchError, match=r"square.safetensors was learned by another lora-1"):
        run_bench(fake.settings(base, clip), copy, processes=1, methods=lambda: changed)


def test_videos_of_another_length_are_compared_as_is_said(base: Path, clip: Path, tmp_path: Path):
    notes: list[str] = []
    settings = fake.settings(
        base, clip, methods=["lora-1"], reference="lora-1", generate={"num_frames": 9}
    )
    run_bench(settings, tmp_path / "new", processes=1, methods=fake.methods, on_note=notes.append)
    assert any("the generated video has 9 frames" in note for note in notes)


def test_the_judge_is_not_asked_to_read_what_it_cannot():
    own = load_model("toybox").geometry
    check_readable(own, GenerateSettings.resolve({"num_frames": 17}))
    with pytest.raises(SettingsError, match=r"num_frames is 9.*judge reads 17; leave it out"):
        check_readable(own, GenerateSettings.resolve({"num_frames": 9}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "bench format 2"),
        ("version", "0.0.0", r"package version 0\.0\.0"),
        ("fingerprint", "abc", "base weights abc"),
        ("settings_hash", "abc", "settings abc"),
        ("encoders", {"clip": "toybox"}, "measured by clip toybox"),
        ("formats", {"weights": "bf16", "precision": "bf16"}, "computed in weights bf16"),
    ],
)
def test_a_folder_of_another_bench_is_refused(
    base: Path, clip: Path, copy: Path, key: str, value: object, message: str
):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, key: value}))
    before = _files(copy, "")
    with pytest.raises(BenchError, match=message):
        _run(fake.settings(base, clip), copy)
    assert _files(copy, "") == before


@pytest.mark.parametrize(
    "changes",
    [
        {"edit": [{"name": "blue", "prompt": "a blue [v] character"}]},
        {"generate": {"guidance": 3.0}},
        {"learn": {"rank": 3}},
        {"method": {"set-and-sequence": {"learning_rate": 0.5}}},
    ],
)
def test_other_settings_are_refused(base: Path, clip: Path, copy: Path, changes: dict[str, Any]):
    with pytest.raises(BenchError, match="go back to"):
        _run(fake.settings(base, clip, **changes), copy)


def test_another_clip_of_the_same_name_is_refused(base: Path, copy: Path, tmp_path: Path):
    from tests.surface import make_clip

    other = make_clip(tmp_path / "square.mp4", side=40)
    with pytest.raises(BenchError, match="was made with settings"):
        _run(fake.settings(base, other), copy)


def test_cells_can_be_measured_again_with_the_videos_alone(
    base: Path,
    clip: Path,
    copy: Path,
    calls: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "encoders": {}}))
    before = json.loads((copy / "results.json").read_text())["cells"]
    shutil.rmtree(copy / "cells")
    for path in (copy / "concepts").rglob("*.safetensors"):
        path.unlink()
    monkeypatch.setattr(work_module, "sampled_frames", None)  # cannot be called
    _run(fake.settings(base, clip), copy)
    assert calls == []
    after = json.loads((copy / "results.json").read_text())["cells"]
    assert after == [row | {"device": NOT_NOTED} for row in before]


def test_numbers_of_other_definitions_are_not_mixed(
    base: Path, clip: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_module, "DEFINITIONS", "another")
    with pytest.raises(BenchError, match=r"definitions another.*delete .*cells to measure all"):
        _run(fake.settings(base, clip), copy)


def test_an_encoder_that_the_settings_name_is_not_left_out(
    base: Path, clip: Path, tmp_path: Path, calls: list[tuple[str, int]]
):
    for name in ("clip", "things", "faces", "points"):
        encoders = {"clip": "none", "things": "none", name: "/no/such/place"}
        with pytest.raises(EncoderError, match="/no/such/place") as caught:
            _run(fake.settings(base, clip, encoders=encoders), tmp_path / name)
        assert "hf download /no" not in str(caught.value)
        assert not (tmp_path / name).exists()
    assert calls == []


def test_a_prompt_that_clip_does_not_read_to_its_end_is_refused_before_any_learning(
    base: Path, clip: Path, tmp_path: Path, calls: list[tuple[str, int]]
):
    edits = [{"name": "long", "prompt": f"a [v] character {'in the snow ' * 40}"}]
    settings = fake.settings(base, clip, edit=edits, encoders={"clip": "toybox", "things": "none"})
    with pytest.raises(PromptError, match="CLIP"):
        _run(settings, tmp_path / "new")
    assert calls == []


def test_what_is_learned_may_be_deleted_once_it_is_shown(
    base: Path, clip: Path, copy: Path, calls: list[tuple[str, int]]
):
    for path in (copy / "concepts").rglob("*.safetensors"):
        path.unlink()
    (copy / "cells" / "lora-1" / "square" / "1-0.json").unlink()
    (copy / "videos" / "lora-1" / "square" / "1-0.mp4").unlink()
    before = (copy / "tables.md").read_text()
    _run(fake.settings(base, clip), copy)
    assert calls == [("lora-1", 0)]
    assert [line for line in (copy / "tables.md").read_text().splitlines() if "MSE" in line] == [
        line for line in before.splitlines() if "MSE" in line
    ]


def test_a_bench_goes_on_on_another_device_and_says_which_did_what(
    base: Path, clip: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    (copy / "cells" / "lora-1" / "square" / "1-0.json").unlink()
    (copy / "videos" / "lora-1" / "square" / "1-0.mp4").unlink()
    monkeypatch.setattr(work_module, "device_name", lambda device: "a card")
    _run(fake.settings(base, clip, hardware={"device": "cpu"}), copy)
    results = json.loads((copy / "results.json").read_text())
    cpu = device_name(torch.device("cpu"))
    assert [row["device"] for row in results["cells"]] == [cpu, cpu, "a card", cpu, cpu, cpu]
    assert {row["device"] for row in results["learnings"]} == {cpu}
    assert f"- shown on: {cpu}: 5; a card: 1" in (copy / "tables.md").read_text()


def test_a_learning_of_two_devices_has_no_time(
    base: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stopping() -> Methods:
        def learn(*args: Any, on_step: Any, **kwargs: Any) -> Any:
            def step(report: StepReport) -> None:
                on_step(report)
                raise KeyboardInterrupt

            return fake.methods().learn(*args, on_step=step, **kwargs)

        return replace(fake.methods(), learn=learn)

    settings = fake.settings(base, clip, methods=["set-and-sequence"])
    monkeypatch.setattr(work_module, "device_name", lambda device: "a card")
    with pytest.raises(Interrupted):
        run_bench(settings, tmp_path / "new", processes=1, methods=stopping)
    monkeypatch.setattr(work_module, "device_name", lambda device: "another")
    _run(settings, tmp_path / "new")
    [row] = json.loads((tmp_path / "new" / "results.json").read_text())["learnings"]
    assert row["device"] == "a card, then another"
    assert row["duration_s"] is None


def test_videos_that_are_sampled_together_are_those_that_are_sampled_alone(
    base: Path, clip: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    before = _files(copy, "cells")
    shutil.rmtree(copy / "cells")
    monkeypatch.setattr(work_module, "shown_at_once", lambda model, settings: 2)
    _run(fake.settings(base, clip), copy)
    after = _files(copy, "cells")
    assert after.keys() == before.keys()
    for name, content in after.items():
        assert json.loads(content)["mse"] == pytest.approx(
            json.loads(before[name])["mse"], rel=0.01
        )


def test_a_folder_of_other_things_is_refused(base: Path, clip: Path, tmp_path: Path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(BenchError, match="holds other files"):
        _run(fake.settings(base, clip), tmp_path)


def test_a_damaged_cell_is_named(base: Path, clip: Path, copy: Path):
    (copy / "cells" / "lora-1" / "square" / "own-0.json").write_text("{")
    with pytest.raises(BenchError, match=r"own-0\.json is damaged"):
        _run(fake.settings(base, clip), copy)


def test_a_method_that_fails_does_not_stop_the_others(base: Path, clip: Path, tmp_path: Path):
    settings = fake.settings(base, clip, methods=["broken", "set-and-sequence"])
    notes: list[str] = []
    with pytest.raises(BenchError, match="1 of the learnings failed, as square by broken"):
        _run(settings, tmp_path / "new", on_note=notes.append)
    assert "square by broken failed: the loss is not finite" in notes
    assert "not measured" in (tmp_path / "new" / "tables.md").read_text()
    assert "3 of 6" in (tmp_path / "new" / "report.html").read_text()


def test_a_learning_has_one_thread_however_many_there_are(base: Path, clip: Path, tmp_path: Path):
    found: list[int] = []

    def looking() -> Methods:
        known = fake.methods()

        def learn(*args: Any, **kwargs: Any) -> Any:
            found.append(torch.get_num_threads())
            return known.learn(*args, **kwargs)

        return replace(known, learn=learn)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        settings = fake.settings(base, clip, learn={"set_steps": 1, "sequence_steps": 1})
        run_bench(settings, tmp_path / "new", processes=1, methods=looking)
        assert found == [1, 1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_video_does_not_depend_on_what_was_done_before_it(base: Path, clip: Path, copy: Path):
    shutil.rmtree(copy / "cells" / "set-and-sequence")
    before = _files(copy, "videos")
    shutil.rmtree(copy / "videos" / "set-and-sequence")
    _run(fake.settings(base, clip), copy)
    assert _files(copy, "videos") == before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"methods": ["horse"], "reference": "horse"}, SettingsError, "no method .horse.; known"),
        ({"table": ["horse"]}, SettingsError, "no concept is named 'horse'; there are robot"),
        ({"method": {"lora-1": {"rank": 3}}}, SettingsError, r"\[method\.lora-1\] sets rank"),
        ({"generate": {"num_frames": 4}}, SettingsError, "4 frames do not fit"),
    ],
)  # fmt: skip
def test_what_is_wrong_shows_at_once(
    base: Path,
    clip: Path,
    tmp_path: Path,
    calls: list[tuple[str, int]],
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
):
    with pytest.raises(error, match=message):
        _run(fake.settings(base, clip, **changes), tmp_path / "new")
    assert calls == []
    assert not (tmp_path / "new").exists()


def test_a_clip_that_cannot_be_read_shows_at_once(base: Path, tmp_path: Path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ClipError):
        _run(fake.settings(base, tmp_path / "text.mp4"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_time_left_follows_the_pace(base: Path, clip: Path, tmp_path: Path):
    found = []
    _run(fake.settings(base, clip), tmp_path / "new", on_progress=found.append)
    assert found[0].left_s is None
    assert (found[-1].learned, found[-1].shown, found[-1].left_s) == (2, 6, 0)
    assert found[-1].share == 1
    assert all(0 <= progress.share <= 1 for progress in found)
    assert "square by lora-1 is learned" in [progress.latest for progress in found]


def test_the_version_is_that_of_the_package(done: Path):
    manifest = json.loads((done / "manifest.json").read_text())
    assert manifest["version"] == folder_module.__version__


_PROGRAM = """
import sys
from pathlib import Path
from setseq.bench.run import run_bench
from setseq.errors import SetSeqError
from tests.bench import fake

if __name__ == "__main__":
    base, clip, root, steps = sys.argv[1:]
    learn = {"set_steps": int(steps), "checkpoint_every": 5}
    settings = fake.settings(Path(base), Path(clip), learn=learn)
    try:
        run_bench(settings, Path(root), processes=2, methods=fake.slow_methods)
    except SetSeqError as error:
        print(error)
"""


@pytest.mark.slow  # processes that load torch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_processes_at_a_whole_step_and_the_same_command_goes_on(
    number: signal.Signals, base: Path, clip: Path, tmp_path: Path
):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    root = tmp_path / "new"
    command = [sys.executable, str(program), str(base), str(clip), str(root), "60"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    checkpoints = [root / "concepts" / name / "square.checkpoint" for name in METHODS]
    try:
        end = time.monotonic() + 120
        while not all(path.exists() for path in checkpoints) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        os.killpg(process.pid, number)  # as a terminal and `timeout` do: to all of them
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert errors == ""
    assert "0 of 6 cells" in out
    assert "the same command goes on" in out
    learn = {"set_steps": 60, "checkpoint_every": 5}
    _run(fake.settings(base, clip, learn=learn), root)
    _run(fake.settings(base, clip, learn=learn), tmp_path / "whole")
    first, second = (
        _files(each, "videos", "cells", "concepts") for each in (root, tmp_path / "whole")
    )
    timed = {name for name in first if name.startswith("concepts") and name.endswith(".json")}
    assert first.keys() == second.keys()
    for name in first.keys() - timed:
        assert first[name] == second[name]
