"""``setseq evaluate``, as a user meets it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from setseq import api
from setseq.concept import Concept
from setseq.errors import ClipError, PromptError
from setseq.video.io import read_clip
from tests.evaluation.tiny_encoders import cut_off_hub, save_tiny_clip, save_tiny_things
from tests.surface import SCENE, error, make_clip, run

PROMPTS = "in the red snow\na [v] character. it is red [u]\n"
METRICS = ["MSE ↓", "identity ↑", "motion ↑", "speed", "C-T ↑", "margin ↑", "TC ↑", "leakage ↓"]


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_hub(monkeypatch)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    folder = tmp_path_factory.mktemp("encoders")
    clip, things = save_tiny_clip(folder / "clip"), save_tiny_things(folder / "things")
    return ["--clip-model", clip, "--identity-model", things]


@pytest.fixture
def arguments(here: Path, learned: Path, base: Path) -> list[str | Path]:
    (here / "held-out.txt").write_text(PROMPTS)
    clip = learned.with_name("clip.mp4")
    return ["evaluate", learned, "--clip", clip, "--prompts", "held-out.txt", "--base", base]


def test_a_row_a_prompt_its_means_and_a_page(
    arguments: list[str | Path], encoders: list[str | Path], here: Path
):
    result = run(*arguments, *encoders, "--seeds", "0", "1", "-o", "scores")
    assert result.exit_code == 0, result.stderr
    assert f"own: {SCENE}" in result.stdout
    assert "2: a [v] character. it is red [u]" in result.stdout
    scores = json.loads((here / "scores" / "scores.json").read_text())
    assert [row["is_own"] for row in scores["rows"]] == [True, False, False]
    assert [seed["seed"] for row in scores["rows"] for seed in row["seeds"]] == [0, 1] * 3
    own, first, second = (row["means"] for row in scores["rows"])
    assert own["mse"] == pytest.approx(sum(s["mse"] for s in scores["rows"][0]["seeds"]) / 2)
    assert own["edit_margin"] is None
    assert own["token_leakage"] is not None
    assert first["mse"] is None
    means = scores["means of held-out"]
    assert means["clip_text"] == pytest.approx((first["clip_text"] + second["clip_text"]) / 2)
    assert means["mse"] is None
    lines = (here / "scores" / "table.md").read_text().splitlines()
    assert lines[0] == "| " + " | ".join(["prompt", *METRICS]) + " |"
    assert [line.split(" | ")[0] for line in lines[2:7]] == [
        "| as learned",
        "| in the red snow",
        "| a [v] character. it is red [u]",
        "| mean of held-out",
        "| the clip",
    ]
    assert f"| {own['mse']:.4f} | {own['identity']:.3f} |" in lines[2]
    page = (here / "scores" / "report.html").read_text()
    assert page.count("<video ") == 4
    assert f"<td>{own['mse']:.4f}</td>" in page


def test_the_terminal_shows_the_numbers_of_the_file(
    arguments: list[str | Path], encoders: list[str | Path], here: Path
):
    result = run(*arguments, *encoders, "-o", "scores")
    lines = (here / "scores" / "table.md").read_text().splitlines()
    for name, line in zip(("own", "1", "2", "mean", "clip"), lines[2:7], strict=True):
        numbers = [cell for cell in line.strip("| ").split(" | ")[1:] if cell.strip()]
        assert any(shown.split() == [name, *numbers] for shown in result.stdout.splitlines()), (
            name,
            numbers,
        )


def test_the_clip_is_read_from_where_it_was_learned(
    arguments: list[str | Path], learned: Path, here: Path
):
    clip, own = here / "clip.mp4", api.load_concept(learned)
    make_clip(clip, num_frames=24)
    record = replace(own.provenance.clips[0], sha256=read_clip(clip).source.sha256, start_s=0.5)
    later = replace(own, provenance=replace(own.provenance, clips=(record,)))
    api.save_concept(later, here / "later.safetensors")
    arguments[1] = "later.safetensors"
    rows = {}
    for name, extra in {"own": [], "same": ["--start", "0.5"], "first": ["--start", "0"]}.items():
        result = run(*arguments, "--clip", clip, "-o", name, *extra)
        assert result.exit_code == 0, result.stderr
        rows[name] = json.loads((here / name / "scores.json").read_text())["rows"]
    assert rows["own"] == rows["same"]
    assert rows["own"] != rows["first"]
    assert ", from 0.5 s" in run("inspect", "later.safetensors").stdout


def test_encoders_can_be_done_without(arguments: list[str | Path], here: Path):
    result = run(*arguments, "--clip-model", "none", "--identity-model", "none", "-o", "scores")
    assert result.exit_code == 0, result.stderr
    assert "left out" not in result.stdout
    head = (here / "scores" / "table.md").read_text().splitlines()[0]
    assert head == "| prompt | MSE ↓ | motion ↑ | speed |"


def test_the_same_call_writes_the_same_scores(
    arguments: list[str | Path], encoders: list[str | Path], here: Path
):
    for out in ("one", "two"):
        assert run(*arguments, *encoders, "-o", out).exit_code == 0
    assert (here / "one" / "scores.json").read_bytes() == (
        here / "two" / "scores.json"
    ).read_bytes()


def test_encoders_that_are_not_to_be_had_are_left_out_with_a_line(
    arguments: list[str | Path], here: Path
):
    result = run(*arguments, "-o", "scores")
    assert result.exit_code == 0, result.stderr
    assert "hf download openai/clip-vit-large-patch14 --local-dir FOLDER" in result.stdout
    assert "with --identity-model" in result.stdout
    head = (here / "scores" / "table.md").read_text().splitlines()[0]
    assert head == "| prompt | MSE ↓ | motion ↑ | speed |"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--clip-model", "some/model"], "give the folder of a download"),
        (["--identity-model", "some/model"], "hf download some/model"),
        (["--faces", "empty"], "detector.onnx is missing"),
        (["--clip-model", "empty"], "cannot be loaded as an encoder"),
        (["--clip", "absent.mp4"], "no such file"),
        (["--clip", "short.mp4"], "too short"),
        (["--prompts", "empty.txt"], "no prompt in it"),
        (["--seeds", "one"], "whole numbers"),
        (["--seeds", "-1"], "seed is -1"),
        (["-o", "notes.txt"], "notes.txt: is a file; give the name of a folder"),
    ],
)
def test_what_evaluate_cannot_use_is_one_line(
    arguments: list[str | Path], here: Path, extra: list[str], expected: str
):
    assert expected in error(run(*arguments, *extra))
    assert not (here / "scores").exists()


def test_a_prompt_that_says_nothing_known_is_one_line(arguments: list[str | Path], here: Path):
    (here / "held-out.txt").write_text("zzz\n")
    assert "cannot tell what 'zzz' changes" in error(run(*arguments))


def test_a_prompt_that_clip_reads_no_end_of_is_refused_before_anything_is_made(
    base: Path, learned: Path, tmp_path: Path
):
    long = "a [v] character in the snow" + " it is red" * 40
    with pytest.raises(PromptError, match="reads 64"):
        api.evaluate(
            learned,
            learned.with_name("clip.mp4"),
            long,
            clip_model=save_tiny_clip(tmp_path / "clip"),
            base=base,
            on_step=lambda done, total: pytest.fail("a video was made"),
        )


def test_a_clip_of_another_size_rate_and_file_says_how_it_was_brought_to_the_base(
    arguments: list[str | Path], here: Path
):
    make_clip(here / "large.mp4", num_frames=8, side=48)
    result = run(*arguments, "--clip", "large.mp4")
    assert result.exit_code == 0, result.stderr
    assert "large.mp4: resized from 48x48 to 32x32" in result.stdout
    assert "large.mp4: 5 of 8 frames used" in result.stdout
    assert "not the very file" in result.stdout


def test_videos_of_another_size_than_the_clip_say_how_they_are_aligned(
    arguments: list[str | Path], here: Path
):
    (here / "wide.toml").write_text("[generate]\nwidth = 48\nnum_frames = 9\n")
    result = run(*arguments, "--config", "wide.toml")
    assert result.exit_code == 0, result.stderr
    assert "the generated video has 9 frames of 48x32" in result.stdout
    assert "compared as 5 of" in result.stdout
    assert "nothing is stretched" in (here / "scores" / "report.html").read_text()


def test_a_concept_of_several_clips_is_measured_on_the_one_that_is_given(base: Path, here: Path):
    make_clip(here / "other.mp4", num_frames=6)
    make_clip(here / "third.mp4", num_frames=7)
    (here / "scene.toml").write_text(
        "".join(
            f'[[concept]]\nclip = "{clip}.mp4"\nlook = "a [v{k}] {colour} character"\n'
            f'motion = "it is [u{k}]"\n'
            for k, clip, colour in ((1, "clip", "red"), (2, "other", "blue"))
        )
    )
    concept = api.learn_scene("scene.toml", base=base)
    own = api.trial_prompts(concept, "other.mp4", "in the snow")[0]
    assert own.prompt == "a [v2] blue character. it is [u2]"
    with pytest.raises(ClipError, match="none of the 2 clips"):
        api.trial_prompts(concept, "third.mp4", "in the snow")


def test_leakage_is_the_same_scene_with_the_concept_and_without(
    base: Path, learned: Path, encoders: list[str | Path]
):
    concept = api.load_concept(learned)
    zero = {name: 0 * value for name, value in concept.basis.items()}
    nothing = Concept(
        basis=zero,
        identity=concept.identity,
        motion=concept.motion,
        provenance=concept.provenance,
    )
    clip = learned.with_name("clip.mp4")
    leaks = [
        api.evaluate(each, clip, "in the red snow", identity_model=encoders[3], base=base)
        .rows[0]
        .scores[0]
        .token_leakage
        for each in (nothing, concept)
    ]
    assert leaks[0] == 0
    assert leaks[1] not in (0, None)
