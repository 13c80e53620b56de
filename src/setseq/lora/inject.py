"""Put concept layers into a model and take them out again."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from setseq.concept import Concept
from setseq.errors import BaseModelError, ConceptFileError
from setseq.lora.layer import MOTION_BASIS, PARTS, ConceptLinear
from setseq.models.self_conditioning import SelfConditioning

# Layers that read the text, by diffusers' names: what they read belongs to no frame, even where it
# has as many tokens as the video.
_OF_TEXT = re.compile(r"(.*\.)?(attn2\.to_[kv]|add_[qkv]_proj|to_add_out|ff_context\..*)")


@dataclass(eq=False)
class Injection:
    """A concept that is now part of a model.

    Attributes:
        model: the network.
        layers: the concept's, by the name of the layer they wrap.
        projection: for self-conditioning, where the concept brought its own; with both strengths
            at 0 it is off, as the layers are.
    """

    model: nn.Module
    layers: Mapping[str, ConceptLinear]
    projection: SelfConditioning | None = None

    def set_strengths(
        self, *, identity: float | Tensor, motion: float | Tensor, video_tokens: int = 0
    ) -> None:
        """Set both strengths in every layer.

        Args:
            identity: 1 as learned, 0 off; or one a latent frame, (f,).
            motion: likewise.
            video_tokens: of the whole video, frame after frame, a multiple of f; needed where a
                strength is one a frame.
        """
        for name, layer in self.layers.items():
            layer.identity_strength = identity
            layer.motion_strength = motion
            layer.video_tokens = 0 if _OF_TEXT.fullmatch(name) else video_tokens
        if self.projection is not None:
            self.projection.is_on = any(torch.as_tensor(s).any() for s in (identity, motion))

    def draw_masks(
        self, generator: torch.Generator, dropout: Mapping[str, float], rescale: bool = True
    ) -> None:
        """Draw a fresh mask for every layer, to be seen until ``clear_masks`` or the next draw.

        Args:
            generator: draws layer by layer in the model's order.
            dropout: rates in [0, 1) of "identity" or "motion"; see ``ConceptLinear.kept``.
            rescale: what stays is multiplied by 1/(1-p), so that masked and unmasked coefficients
                agree in expectation (our choice: the paper does not say).
        """
        drawn = [
            (layer, part, kept)
            for layer in self.layers.values()
            for part, kept in layer.kept(generator, dropout).items()
        ]
        self.clear_masks()
        for name, rate in dropout.items():
            own = [(layer, kept) for layer, part, kept in drawn if part == name]
            if not own:
                continue
            like: nn.Parameter = getattr(own[0][0], name)
            # All in one piece: a GPU would wait for each layer's.
            whole = torch.cat([kept.flatten() for _, kept in own]).to(like)
            whole = whole * (1 / (1 - rate) if rescale else 1.0)
            pieces = whole.split([kept.numel() for _, kept in own])
            for (layer, kept), piece in zip(own, pieces, strict=True):
                layer.masks[name] = piece.view(kept.shape)

    def clear_masks(self) -> None:
        """Take all masks away: the layers are whole again."""
        for layer in self.layers.values():
            layer.masks = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """What every layer has: "basis", "identity", "motion", and "motion_basis" where it does."""
        layer = next(iter(self.layers.values()))
        return PARTS if layer.motion_basis is None else (*PARTS, MOTION_BASIS)

    def parameters(self, part: str) -> dict[str, nn.Parameter]:
        """The parameters of one of ``parts`` by layer name."""
        return {name: getattr(layer, part) for name, layer in self.layers.items()}

    def tensors(self, part: str) -> dict[str, Tensor]:
        """Copies of "basis", "identity" or "motion" by layer name, as a Concept holds them.

        They are on the CPU, as those of a file are, wherever the model is.
        """
        return {
            name: layer.factor(part).detach().to("cpu", copy=True)
            for name, layer in self.layers.items()
        }

    @torch.no_grad()
    def load(self, concept: Concept) -> None:
        """Copy a concept's values into the layers.

        Raises:
            ConceptFileError: the concept's layers or shapes are not those of this model.
        """
        for part in PARTS:
            stored, own = getattr(concept, part), self.parameters(part)
            if stored.keys() != own.keys():
                odd = sorted(stored.keys() ^ own.keys())
                raise ConceptFileError(
                    f"the concept has {len(stored)} layers where the model has {len(own)}, first"
                    f" difference {odd[0]!r}; use the base model that it was learned on"
                )
            for name, value in own.items():
                if stored[name].shape != value.shape:
                    raise ConceptFileError(
                        f"{part}/{name} has shape {tuple(stored[name].shape)}, the model wants"
                        f" {tuple(value.shape)}; use the base model that it was learned on"
                    )
                value.copy_(stored[name])

    def remove(self) -> None:
        """Put the wrapped layers back: the model is bit-equal to before, with its own key set."""
        for name, layer in self.layers.items():
            self.model.set_submodule(name, layer.base)


def target_layers(linear: Collection[str], targets: str) -> list[str]:
    """Those of a model's linear layers whose whole name matches.

    Raises:
        BaseModelError: There is none.
    """
    found = [name for name in linear if re.fullmatch(targets, name)]
    if not found:
        raise BaseModelError(
            f"no linear layer's name matches {targets!r}; the model has {len(linear)} of them, as"
            f" {', '.join(list(linear)[:2]) or 'none'}; correct the pattern of target layers"
        )
    return found


def inject(
    model: nn.Module,
    targets: str,
    *,
    rank: int | None,
    generator: torch.Generator,
    own_motion_basis: bool = False,
) -> Injection:
    """Wrap every linear layer whose full name matches.

    Args:
        model: the network to change; its output stays bit-equal.
        targets: regular expression that must match a layer's whole name.
        rank: columns of each basis, at least 1. None is the full rank: each basis is the identity
            matrix, so that the coefficients are the change of the weight itself. All layers get
            the rank of the one with the widest input; what the others have beyond theirs is 0.
        generator: draws the bases, layer by layer in the model's order.
        own_motion_basis: give motion a basis of its own, of the same rank.

    Raises:
        BaseModelError: nothing matches, or a wrapped layer is already inside.
    """
    if any(isinstance(module, ConceptLinear) for module in model.modules()):
        raise BaseModelError("the model already carries a concept; remove it before another one")
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    found = [(name, linear[name]) for name in target_layers(linear, targets)]
    columns = max(module.in_features for _, module in found) if rank is None else rank
    layers = {
        name: ConceptLinear(
            module, rank=columns, generator=generator, own_motion_basis=own_motion_basis
        )
        for name, module in found
    }
    for name, layer in layers.items():
        if rank is None:
            layer.basis.data = torch.eye(*layer.basis.shape, device=layer.basis.device)
        model.set_submodule(name, layer)
    return Injection(model, layers)


def inject_concept(model: nn.Module, concept: Concept) -> Injection:
    """Wrap exactly the layers that a concept has and load it.

    Raises:
        ConceptFileError: the model lacks one of the layers, or a shape differs.
    """
    names = "|".join(re.escape(name) for name in concept.basis)
    generator = torch.Generator().manual_seed(0)  # the drawn bases are overwritten
    try:
        injection = inject(model, names, rank=concept.rank, generator=generator)
    except BaseModelError as error:
        raise ConceptFileError(f"the concept does not fit: {error}") from error
    try:
        injection.load(concept)
    except ConceptFileError:
        injection.remove()
        raise
    return injection
