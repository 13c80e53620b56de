"""Previews: what the result's own sampler makes of the concept so far, at chosen steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setseq.config import GenerateSettings
from setseq.models.base import VideoModel
from setseq.sampling import sampled_frames
from setseq.training.loop import StepReport
from setseq.video.encode import write_video
from setseq.video.sheet import write_sheet


@dataclass(frozen=True, kw_only=True, eq=False)
class Previews:
    """What to preview, how, and where to.

    Attributes:
        model: The base; while a preview is made, it carries the concept so far.
        prompts: As the user wrote them, to prompts as the model reads them.
        settings: Of the sampling; the strengths are those of the running stage.
        every: Steps between previews; each stage's last step has one too.
        folder: Of the files "<stage>-<step>.png" and ".mp4".
    """

    model: VideoModel
    prompts: dict[str, str]
    settings: GenerateSettings
    every: int
    folder: Path

    def is_due(self, report: StepReport) -> bool:
        """Whether there is a preview after this step."""
        return self.every > 0 and (report.step % self.every == 0 or report.step == report.steps)

    def write(self, report: StepReport) -> Path:
        """Generate every prompt and write a contact sheet and a video of all side by side.

        The start noise comes from a seed of its own: the training draws what it would have drawn.

        Returns:
            The contact sheet.

        Raises:
            OutputError: It cannot be written.
        """
        videos = sampled_frames(self.model, list(self.prompts.values()), self.settings)
        name = f"{report.stage}-{report.step:0{len(str(report.steps))}d}"
        self.folder.mkdir(parents=True, exist_ok=True)
        title = f"{report.stage} {report.step} of {report.steps}"
        rows = [(f"{title}: {p}", video) for p, video in zip(self.prompts, videos, strict=True)]
        write_video(
            self.folder / f"{name}.mp4", beside(videos), fps=self.model.geometry.fps, scale=2
        )
        return write_sheet(self.folder / f"{name}.png", rows)


def beside(videos: Sequence[np.ndarray]) -> np.ndarray:
    """Videos (f, h, w, 3) of one size as a single one (f, h, n w, 3)."""
    return np.concatenate(videos, axis=2)
