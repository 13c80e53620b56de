"""What a pipeline folder does not say by itself: an optional ``setseq.json`` in it."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from setseq.errors import BaseModelError
from setseq.models.base import Geometry, Places
from setseq.models.components import read_json

CARD = "setseq.json"


class BaseCard(BaseModel):
    """Sizes and defaults of a base model; an empty field is that of its family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default="", description="short name; the folder's name when empty")
    fps: float = Field(default=0, ge=0, description="frames a second")
    width: int = Field(default=0, ge=0, description="pixels")
    height: int = Field(default=0, ge=0, description="pixels")
    num_frames: int = Field(default=0, ge=0, description="default length of a video")
    learn: dict[str, Any] = Field(default_factory=dict, description="defaults of LearnSettings")
    generate: dict[str, Any] = Field(default_factory=dict, description="of GenerateSettings")

    def over(self, family: Self) -> Self:
        """This card with the family's values in its empty fields; the tables are merged."""
        given = {name: value for name, value in self.model_dump().items() if value}
        tables = {name: getattr(family, name) | getattr(self, name) for name in _TABLES}
        return family.model_copy(update=given | tables)

    def geometry(
        self,
        *,
        temporal_factor: int,
        spatial_factor: int,
        size_multiple: int,
        latent_channels: int,
        latent_depth: int = 1,
        decoded_together: int = 1,
        places: Places = (None, None, None),
    ) -> Geometry:
        """These sizes with what a model's configuration says; see ``Geometry``."""
        return Geometry(
            fps=self.fps,
            width=self.width,
            height=self.height,
            num_frames=self.num_frames,
            temporal_factor=temporal_factor,
            spatial_factor=spatial_factor,
            size_multiple=size_multiple,
            latent_channels=latent_channels,
            latent_depth=latent_depth,
            decoded_together=decoded_together,
            places=places,
        )


_TABLES = ("learn", "generate")


def read_card(folder: Path) -> BaseCard:
    """The card in a folder, an empty one where there is none.

    Raises:
        BaseModelError: it is damaged, or has a field that is unknown or out of its range.
    """
    path = folder / CARD
    content = read_json(path, "it holds the model's defaults") if path.exists() else {}
    try:
        return BaseCard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BaseModelError(f"{path}: {place}: {first['msg']}; correct or delete it") from error
