"""Learn how an entity looks and moves from one video, then show it in new scenes."""

import importlib
from typing import TYPE_CHECKING, Any

from setseq.version import __version__

if TYPE_CHECKING:
    from setseq.api import (
        export,
        generate,
        import_lora,
        inspect,
        learn,
        load_concept,
        load_model,
        preflight,
        save_concept,
    )
    from setseq.concept import Concept
    from setseq.config import GenerateSettings, HardwareSettings, LearnSettings
    from setseq.errors import SetSeqError
    from setseq.video.io import write_video
    from setseq.watch.run import Watch

__all__ = [
    "Concept",
    "GenerateSettings",
    "HardwareSettings",
    "LearnSettings",
    "SetSeqError",
    "Watch",
    "__version__",
    "export",
    "generate",
    "import_lora",
    "inspect",
    "learn",
    "load_concept",
    "load_model",
    "preflight",
    "save_concept",
    "write_video",
]

_PLACES = {
    "Concept": "setseq.concept",
    "GenerateSettings": "setseq.config",
    "HardwareSettings": "setseq.config",
    "LearnSettings": "setseq.config",
    "SetSeqError": "setseq.errors",
    "Watch": "setseq.watch.run",
    "write_video": "setseq.video.io",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in __all__:
        raise AttributeError(f"module 'setseq' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES.get(name, "setseq.api")), name)
