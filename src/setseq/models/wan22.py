"""Wan 2.2 A14B: two experts of 14B, one for the noisy times and one for the others."""

from typing import Any

import torch
from torch import Tensor, nn

from setseq.errors import BaseModelError
from setseq.models.base import Conditioning
from setseq.models.card import BaseCard
from setseq.models.components import Components
from setseq.models.folding import install_folded_padding
from setseq.models.self_conditioning import SelfConditioning
from setseq.models.wan import WanModel


class Wan22Model(WanModel):
    r"""Wan 2.2 T2V-A14B: ``transformer`` from the boundary (0.875) on, ``transformer_2`` below.

    Which expert learns what (our choice): both experts learn in both stages, each from the times
    that it is responsible for, so that neither ever sees a time it will not be asked for. The noisy
    one lays out the scene: the silhouette and the colours of the look, and the coarse course of the
    movement. The other one paints: the face and the texture, and how cloth and limbs follow. A
    concept that only the second knows is painted onto a stranger's silhouette, and one that only
    the first knows loses its face; so both are needed, for identity and for motion. At the shift
    of 3 about a fifth of the training times are the first one's, at 5 a third. ``targets`` narrows
    it to one, as ``transformer_2\..*``, at half the memory for adapters.
    """

    lora_targets = rf"transformer(_2)?\.{WanModel.lora_targets}"
    parts = (*WanModel.parts, "transformer_2")
    networks = {"transformer.": "transformer", "transformer_2.": "transformer_2"}  # noqa: RUF012
    alone = WanModel
    card = WanModel.card.model_copy(update={"generate": {"num_steps": 40, "guidance": 4.0}})

    def __init__(self, components: Components, card: BaseCard, *, id: str = "") -> None:
        """As for all models, but not sharded.

        Raises:
            BaseModelError: it is to be: a process without samples for an expert would not take
                part in that expert's passes, which all must make together.
        """
        super().__init__(components, card, id=id)
        if components.sharded:
            raise BaseModelError(
                f"{self.id!r} has two experts, and only a base with one network can be sharded;"
                " leave --shard out, where each GPU holds both"
            )

    def _made_denoiser(self) -> nn.Module:
        names = ("transformer", "transformer_2")
        experts = nn.ModuleDict({name: self.components[name] for name in names}).eval()
        self._foldings = {name: install_folded_padding(experts[name]) for name in names}
        return experts

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32, of each sample by the expert of its time."""
        experts: Any = self.denoiser
        noisy = time >= self.components.index["boundary_ratio"]
        velocity = torch.zeros_like(latents, dtype=torch.float32)
        for name, mine in (("transformer", noisy), ("transformer_2", ~noisy)):
            places = mine.nonzero().flatten()
            if len(places):
                own = conditioning if len(conditioning) == 1 else conditioning.select(places)
                part = self._predict_by(
                    experts[name], self._foldings[name], latents[places], time[places], own
                )
                velocity = velocity.index_copy(0, places, part)
        return velocity

    def add_self_conditioning(self) -> SelfConditioning:
        """Not for two experts.

        Raises:
            BaseModelError: always.
        """
        raise BaseModelError(
            f"{self.id!r} has two experts, and self-conditioning is for one; learn with"
            " self_conditioning = 0"
        )
