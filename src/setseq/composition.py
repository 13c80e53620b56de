"""Several concepts learned together: one basis and identity, one motion, tokens for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from torch import Tensor

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.learning import Base, Started, as_model, check_steps, fitted_clip, training_clip
from setseq.models.registry import TOYBOX
from setseq.presets import layered, load_preset
from setseq.rewriting.scenery import split_scenery
from setseq.scene import Scene, SceneSettings, read_scene, side_by_side
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip
from setseq.training.state import StepReport
from setseq.training.stitched import Stitched
from setseq.video.io import read_clip
from setseq.video.matte import check_rembg, checked_matte, rembg_matte
from setseq.video.stitch import Onto, Side, stitch


def learn_scene(
    scene: Scene | str | Path,
    *,
    base: Base = TOYBOX,
    preset: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    hardware: Mapping[str, Any] | None = None,
    on_start: Callable[[Started], None] = lambda started: None,
    on_prior: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn several concepts together, so that one prompt can show them side by side.

    Every step sees as much of each concept as of any other, and clips stitched from all ordered
    pairs (of the frames at the base's rate, with ``frame_dense`` too). The Sequence stage is
    longer, (n + 1) / 2 times for n concepts, unless ``sequence_steps`` is given by the scene or by
    ``settings``, or for scenes by the preset, as "paper" does.

    Args:
        scene: A scene, or the path of its TOML file.
        base: As for ``learn``.
        preset: As for ``learn``.
        seed: As for ``learn``.
        settings: Names of LearnSettings to values, over the scene's own [learn] table.
        checkpoint: As for ``learn``.
        resume: As for ``learn``.
        hardware: As for ``learn``.
        on_start: As for ``learn``.
        on_prior: As for ``learn``.
        on_step: As for ``learn``.

    Returns:
        One concept with tokens [v1] [u1], [v2] [u2] and so on.

    Raises:
        SetSeqError: The scene, a clip, a setting or the base cannot be used, or Ctrl-C.
    """
    scene = scene if isinstance(scene, Scene) else read_scene(Path(scene))
    overrides = (scene.learn, settings or {}, {"seed": seed})
    check_steps(layered(LearnSettings, {}, preset, *overrides))
    _check_files(scene)
    model = as_model(base, hardware)
    chosen = scene_settings(model.defaults.learn, preset, *overrides, count=len(scene.concepts))
    check_steps(chosen)
    fitted = [
        fitted_clip(model, one.clip, start_s=one.start_s, dense=chosen.frame_dense)
        for one in scene.concepts
    ]
    clips = [
        training_clip(model, clip, one.prompt, mask=one.mask)
        for one, clip in zip(scene.concepts, fitted, strict=True)
    ]
    beside = stitched_clips(clips, scene.settings, names=[str(c.clip) for c in scene.concepts])
    stitched = Stitched(clips=beside, share=scene.settings.stitched_share if beside else 0.0)

    def checked(resumed: bool) -> None:
        on_start(
            Started(
                model=model,
                clips=tuple(fitted),
                prompts=tuple(clip.prompt for clip in clips),
                settings=chosen,
                learned=tuple(clips),
                stitched=stitched,
                resumed=resumed,
            )
        )

    return learn_concept(
        model,
        clips,
        chosen,
        stitched=stitched,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        resume=resume,
        on_checked=checked,
        on_prior=on_prior,
        on_step=on_step,
    )


def scene_settings(
    base: Mapping[str, Any], preset: str | None, *later: Mapping[str, Any], count: int
) -> LearnSettings:
    """The settings of several concepts learned together, from all layers; see ``layered``.

    Args:
        base: The base model's own values.
        preset: A preset's name, or None.
        later: What wins over both.
        count: Of the concepts. The Sequence stage is (count + 1) / 2 times as long as for a single
            one where neither ``later`` nor the preset says how long it is in a scene (our choice:
            each concept is in fewer samples of a step).

    Raises:
        SettingsError: As ``layered``.
    """
    own = {} if preset is None else load_preset(preset).scene
    chosen = layered(LearnSettings, base, preset, own, *later)
    if any(layer.get("sequence_steps") is not None for layer in (own, *later)):
        return chosen
    steps = chosen.sequence_steps * (count + 1) // 2
    return chosen.model_copy(update={"sequence_steps": steps})


def stitched_clips(
    clips: Sequence[TrainingClip], settings: SceneSettings, *, names: Sequence[str]
) -> list[TrainingClip]:
    """Clips of each ordered pair of clips, the first of the pair on the left.

    Args:
        clips: Of one size and length.
        settings: Of the scene; with a share of 0 there are none.
        names: Of the clips, for errors.

    Returns:
        One a pair where backgrounds are kept, captioned with both; else one a background, with its
        own words, so that no place tells who stands where. Where all clips have masks of their
        own, these have them too.

    Raises:
        ClipError: A background cannot be removed.
    """
    if settings.stitched_share == 0:
        return []
    mattes = _mattes(clips, settings, names)
    are_given = all(clip.mask is not None for clip in clips)
    sides = [
        Side(pixels=clip.pixels, mask=clip.mask if mattes is None else mattes[place])
        for place, clip in enumerate(clips)
    ]
    found = []
    for first, second in permutations(range(len(clips)), 2):
        left, right = clips[first], clips[second]
        for onto, scenery in _grounds(left, right, settings, is_cut=mattes is not None):
            both = stitch(sides[first], sides[second], onto=onto)
            found.append(
                TrainingClip(
                    pixels=both.pixels,
                    prompt=side_by_side(left.prompt, right.prompt, scenery=scenery),
                    mask=both.mask if are_given else None,
                )
            )
    return found


def _grounds(
    left: TrainingClip, right: TrainingClip, settings: SceneSettings, *, is_cut: bool
) -> list[tuple[Onto, str | None]]:
    """What two subjects stand on, and the words for it; none where backgrounds are kept."""
    if not is_cut:
        return [("own", None)]
    if settings.onto == "plain":
        return [("plain", "before a plain grey background")]
    return [
        ("left", split_scenery(left.prompt.look)[1]),
        ("right", split_scenery(right.prompt.look)[1]),
    ]


def _check_files(scene: Scene) -> None:
    """What is missing shows before the base is loaded."""
    if scene.settings.background == "rembg" and scene.settings.stitched_share > 0:
        check_rembg()
    for concept in scene.concepts:
        for path in (concept.clip, concept.mask):
            if path is not None:
                read_clip(path, num_frames=1)


def _mattes(
    clips: Sequence[TrainingClip], settings: SceneSettings, names: Sequence[str]
) -> Sequence[Tensor | None] | None:
    """Where the subjects to be cut out are; None keeps the backgrounds."""
    masks = [clip.mask for clip in clips]
    match settings.background:
        case "keep":
            return None
        case "auto":
            return None if any(mask is None for mask in masks) else masks
        case "mask":
            return masks
        case "difference":
            return [checked_matte(c.pixels, name) for c, name in zip(clips, names, strict=True)]
        case "rembg":
            return [rembg_matte(clip.pixels) for clip in clips]
