"""The base models that are known by a short name: facts to choose by.

Hub ids and licences were compared with public pages in November 2026; docs/models.md says which.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """A published model.

    Attributes:
        name: what ``--base`` takes.
        hub_id: its diffusers folder on the Hugging Face hub.
        family: the adapter's.
        billions: parameters of the denoiser, of both experts where there are two.
        size: default width, height, frames and frames a second.
        frames: the rule of lengths; k is any whole number.
        multiple: pixels that width and height must be multiples of.
        licence: of the weights, shortened; read it before you publish what you make.
    """

    name: str
    hub_id: str
    family: str
    billions: float
    size: tuple[int, int, int, int]
    frames: str
    multiple: int
    licence: str

    @property
    def memory_gb(self) -> int:
        """Least memory in GB for learning, an estimate that nobody has measured.

        Our choice: the denoiser in bf16 (text encoder and autoencoder out of memory), 15% on top,
        and 4 GB for the adapter, its optimizer and the activations of a short, small clip.
        """
        return math.ceil(2 * self.billions * 1.15 + 4)


_APACHE, _HUNYUAN = "Apache-2.0", "Tencent Hunyuan"
KNOWN = (
    KnownModel(
        name="wan2.1-1.3b",
        hub_id="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        family="wan",
        billions=1.4,
        size=(832, 480, 81, 16),
        frames="4 k + 1",
        multiple=16,
        licence=_APACHE,
    ),
    KnownModel(
        name="wan2.1-14b",
        hub_id="Wan-AI/Wan2.1-T2V-14B-Diffusers",
        family="wan",
        billions=14.3,
        size=(832, 480, 81, 16),
        frames="4 k + 1",
        multiple=16,
        licence=_APACHE,
    ),
    KnownModel(
        name="wan2.2-5b",
        hub_id="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        family="wan",
        billions=5.0,
        size=(1280, 704, 121, 24),
        frames="4 k + 1",
        multiple=32,
        licence=_APACHE,
    ),
    KnownModel(
        name="wan2.2-a14b",
        hub_id="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        family="wan",
        billions=28.6,
        size=(832, 480, 81, 16),
        frames="4 k + 1",
        multiple=16,
        licence=_APACHE,
    ),
    KnownModel(
        name="ltx-2b",
        hub_id="Lightricks/LTX-Video",
        family="ltx",
        billions=1.9,
        size=(704, 480, 121, 25),
        frames="8 k + 1",
        multiple=32,
        licence="LTXV Open Weights",
    ),
    KnownModel(
        name="ltx-2",
        hub_id="Lightricks/LTX-2",
        family="ltx2",
        billions=18.9,
        size=(768, 512, 121, 24),
        frames="8 k + 1",
        multiple=32,
        licence="LTX-2 Community",
    ),
    KnownModel(
        name="hunyuan",
        hub_id="hunyuanvideo-community/HunyuanVideo",
        family="hunyuan",
        billions=12.8,
        size=(1280, 720, 129, 24),
        frames="4 k + 1",
        multiple=16,
        licence=_HUNYUAN,
    ),
    KnownModel(
        name="hunyuan1.5",
        hub_id="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        family="hunyuan15",
        billions=8.3,
        size=(848, 480, 121, 24),
        frames="4 k + 1",
        multiple=16,
        licence=_HUNYUAN,
    ),
    KnownModel(
        name="cogvideox-2b",
        hub_id="zai-org/CogVideoX-2b",
        family="cogvideox",
        billions=1.7,
        size=(720, 480, 49, 8),
        frames="8 k + 1",
        multiple=16,
        licence=_APACHE,
    ),
    KnownModel(
        name="cogvideox-5b",
        hub_id="zai-org/CogVideoX-5b",
        family="cogvideox",
        billions=5.6,
        size=(720, 480, 49, 8),
        frames="8 k + 1",
        multiple=16,
        licence="CogVideoX",
    ),
    KnownModel(
        name="cogvideox1.5-5b",
        hub_id="zai-org/CogVideoX1.5-5B",
        family="cogvideox",
        billions=5.6,
        size=(1360, 768, 81, 16),
        frames="8 k + 1",
        multiple=16,
        licence="CogVideoX",
    ),
    KnownModel(
        name="mochi",
        hub_id="genmo/mochi-1-preview",
        family="mochi",
        billions=10.0,
        size=(848, 480, 85, 30),
        frames="6 k + 1",
        multiple=16,
        licence=_APACHE,
    ),
)


def known(name: str) -> KnownModel | None:
    """The model of a short name, None where there is none."""
    return next((model for model in KNOWN if model.name == name.lower()), None)
