"""What a bench runs over: a TOML file of settings, each with its default and what it is."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator
from pydantic import model_validator as validator

from setseq.config import GenerateSettings, HardwareSettings, LearnSettings, Settings
from setseq.errors import PromptError, SettingsError
from setseq.prompts import concept_prompt, placeholders

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]  # names files too
Seed = Annotated[int, Field(ge=0, lt=2**63)]

QUICK_METHODS = ("lora-8", "set-and-sequence", "set-and-sequence-prior")
_QUICK_EACH = 2  # concepts, and edits
_QUICK_PRIOR = 8  # videos


class Edit(Settings):
    """A scene that the clip never contained: one `[[edit]]` table."""

    name: str = Field(min_length=1, description="a few words for tables and pages")
    prompt: str = Field(
        description="the look in the new scene, with [v]: the concept's own motion is added (with"
        " [u] too it is the whole prompt); or a few words, as `setseq edit` reads them"
    )
    wanted: dict[str, str] = Field(
        default={},
        description="what the toybox's judge should read, as { place = 'city', light = 'night' }",
    )


class OwnConcept(Settings):
    """A clip of your own: one `[[concept]]` table."""

    name: Name = Field(description="as `table` and `choosing` name it")
    clip: str = Field(min_length=1, description="video or image folder, relative to this file")
    look: str = Field(description="the static prompt, with [v]")
    motion: str = Field(description="the dynamic prompt, with [u]")
    mask: str = Field(default="", description="a video, white where to learn; empty for none")
    start: float = Field(default=0.0, ge=0, description="where the clip starts, in seconds")

    @validator(mode="after")
    def _has_good_prompts(self) -> Self:
        try:
            concept_prompt(self.look, self.motion)
        except PromptError as error:
            raise PromptError(f"concept {self.name!r}: {error}") from None
        return self


class EncoderChoice(Settings):
    """What looks at the videos: the `[encoders]` table."""

    clip: str = Field(
        default="auto",
        description="of C-T, TC and edit success: a folder, a model id, toybox, none; auto: the"
        " toybox's own where the base is that and it ships, else openai/clip-vit-large-patch14",
    )
    things: str = Field(
        default="auto",
        description="of identity: likewise; auto: so too, else facebook/dinov2-base",
    )
    faces: str = Field(
        default="none", description="of ID: a folder with detector and recognizer in ONNX, or none"
    )
    points: str = Field(
        default="opencv",
        description="of motion fidelity and dynamic degree: opencv, a file of CoTracker 3's"
        " weights, or none",
    )
    judge: Literal["auto", "none"] = Field(
        default="auto", description="the toybox's judge; auto: where the base is the toybox"
    )


_EDITS = (
    Edit(
        name="snow by day",
        prompt="a [v] creature in a snowy field by day",
        wanted={"place": "snowfield", "light": "day"},
    ),
    Edit(
        name="city at night",
        prompt="a [v] creature in the city at night",
        wanted={"place": "city", "light": "night"},
    ),
    Edit(
        name="forest in the rain",
        prompt="a [v] creature in the forest in the rain",
        wanted={"place": "forest", "light": "rain"},
    ),
    Edit(
        name="sea at sunset",
        prompt="a [v] creature by the sea with waves at sunset",
        wanted={"place": "sea", "light": "dusk"},
    ),
    Edit(
        name="pencil sketch",
        prompt="a pencil sketch of a [v] creature in the desert",
        wanted={"place": "desert", "style": "pencil"},
    ),
    Edit(
        name="hat in the meadow",
        prompt="a [v] creature wearing a hat in a green meadow",
        wanted={"place": "meadow", "left_accessory": "hat"},
    ),
)


class BenchSettings(Settings):
    """What is compared, on what, and how it is learned, shown and measured."""

    base: str = Field(
        default="toybox", description="toybox, a name of `setseq models`, a hub id, or a folder"
    )
    methods: tuple[Name, ...] = Field(
        default=(
            "textual-inversion",
            "lora-1",
            "lora-8",
            "dreamix",
            "newmove",
            "dreamvideo",
            "set-and-sequence",
            "set-and-sequence-paper",
            "set-and-sequence-prior",
            "lora-8-prior",
        ),
        min_length=1,
        description="methods down the tables; there are also dreambooth-lora (LoRA-8 with half of"
        " each step for a prior of videos)"
        " and two-stage (no regularizer: what set-and-sequence is on a base whose own settings have"
        " none, as the toybox)",
    )
    reference: Name = Field(
        default="set-and-sequence", description="the method that the others are compared with"
    )
    table: tuple[Name, ...] = Field(
        default=("robot", "bee", "snowman", "octopus", "jester", "giraffe"),
        description="concepts of the table, shipped or [[concept]]: never choose settings by them",
    )
    choosing: tuple[Name, ...] = Field(
        default=("dancer", "crab", "flower", "bird", "fish", "worm"),
        description="concepts to choose settings by, which the table never shows",
    )
    use: Literal["table", "choosing"] = Field(
        default="table", description="which of the two lists this bench runs over"
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0, 1, 2), min_length=1, description="of the start noise"
    )
    training_seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, description="of the learning; each learns everything anew"
    )
    preset: str = Field(default="", description="paper, fast or quality; empty for none")
    encoders: EncoderChoice = Field(default=EncoderChoice(), description="what looks at the videos")
    learn: dict[str, Any] = Field(
        default={}, description="LearnSettings of all methods, over the base's own"
    )
    method: dict[str, dict[str, Any]] = Field(
        default={}, description="LearnSettings of one method, over those of all"
    )
    generate: dict[str, Any] = Field(
        default={},
        description="GenerateSettings, over the base's own; seeds are above, and what was learned"
        " without self-conditioning is shown without",
    )
    hardware: dict[str, Any] = Field(
        default={},
        description="HardwareSettings: device, weights and so on; weights of the toybox are fp32"
        " unless set here, so that a bench that began on a GPU can go on on a CPU",
    )
    edit: tuple[Edit, ...] = Field(
        default=_EDITS, min_length=1, description="scenes that the clips never contained"
    )
    concept: tuple[OwnConcept, ...] = Field(default=(), description="clips of your own")

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts that this bench runs over."""
        return self.table if self.use == "table" else self.choosing

    @field_validator("methods", "table", "choosing", "seeds", "training_seeds")
    @classmethod
    def _has_no_repeats(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(given)) < len(given):
            raise ValueError("it names something twice; once is enough")
        return given

    @field_validator("learn", "generate")
    @classmethod
    def _has_no_seed(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "seed" in given:
            raise ValueError("seeds go to seeds (start noise) and training_seeds (learning)")
        return given

    @validator(mode="after")
    def _fits_together(self) -> Self:
        if self.reference not in self.methods:
            raise SettingsError(
                f"reference {self.reference!r} is none of methods; add it, or choose one of"
                f" {', '.join(self.methods)}"
            )
        if both := [name for name in self.table if name in self.choosing]:
            raise SettingsError(
                f"{both[0]!r} is in table and in choosing; settings that were chosen by a concept"
                " say nothing about it: leave it in one of them"
            )
        if not self.concepts:
            raise SettingsError(f"{self.use} is empty, so there is nothing to run over; name one")
        if odd := [name for name in self.method if name not in self.methods]:
            raise SettingsError(f"[method.{odd[0]}] is for none of methods; add it there, or go")
        _check_names([edit.name for edit in self.edit], "[[edit]]")
        _check_names([concept.name for concept in self.concept], "[[concept]]")
        for name in self.methods:
            LearnSettings.resolve(self.learn, self.method.get(name, {}))
        GenerateSettings.resolve(self.generate)
        HardwareSettings.resolve(self.hardware)
        for edit in self.edit:
            if odd := [name for name in placeholders(edit.prompt) if name not in ("v1", "u1")]:
                raise PromptError(f"edit {edit.name!r} has [{odd[0]}]; its tokens are [v] and [u]")
        return self


def read_bench(path: Path) -> BenchSettings:
    """Read a bench's settings; clips and masks are then found from anywhere.

    Raises:
        SetSeqError: The file is missing, is no TOML, or something in it is wrong; the message
            names it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"no bench settings at {path}; leave the file out for the defaults, or copy"
            " examples/bench.toml"
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}; correct it") from error
    try:
        found = BenchSettings.model_validate(content)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    folder = path.absolute().parent
    concepts = tuple(
        each.model_copy(
            update={
                "clip": str(folder / Path(each.clip).expanduser()),
                "mask": str(folder / Path(each.mask).expanduser()) if each.mask else "",
            }
        )
        for each in found.concept
    )
    return found.model_copy(update={"concept": concepts})


def quick(settings: BenchSettings) -> BenchSettings:
    """The same bench made small: a first look of about ten minutes on two cores of the toybox.

    Three methods, two concepts, two edits, one seed of each kind; the preset "fast" (half the
    learning, 0.6 of the sampling steps) and a prior of few videos.
    """
    first = [settings.reference, *QUICK_METHODS, *settings.methods]
    wanted = [name for name in dict.fromkeys(first) if name in settings.methods]
    methods = [name for name in settings.methods if name in wanted[: len(QUICK_METHODS)]]
    return BenchSettings.model_validate(
        {
            **settings.model_dump(),
            "methods": methods,
            "method": {k: v for k, v in settings.method.items() if k in methods},
            settings.use: settings.concepts[:_QUICK_EACH],
            "edit": settings.edit[:_QUICK_EACH],
            "seeds": settings.seeds[:1],
            "training_seeds": settings.training_seeds[:1],
            "preset": "fast",
            "learn": {"prior_count": _QUICK_PRIOR, **settings.learn},
        }
    )


def _check_names(names: Sequence[str], table: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SettingsError(f"two {table} tables have the name {name!r}; rename one")
