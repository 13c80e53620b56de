"""What a command does where several processes run it: the first one writes and speaks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from setseq.errors import SettingsError
from setseq.processes import Processes, leave, this_process
from setseq.terminal import hush

# A process beside the first one has nothing to show. Where the base is sharded, all processes must
# make previews and report together, for one alone does not have the base.
_UNWATCHED = {"preview_every": 0, "report": False, "select": "last"}


@contextmanager
def joined(folder: Path, watch: Mapping[str, Any]) -> Iterator[tuple[Processes, Path, dict]]:
    """This process among those that run the command, if there are several.

    Args:
        folder: of the run, which the first process writes into.
        watch: names of WatchSettings to values.

    Returns:
        The process; a folder of its own for the run; and what it is to watch.

    Raises:
        SettingsError: the processes cannot work together here, or not do what is asked.
    """
    own = this_process()
    if own.is_sharded and watch.get("select") == "best":
        raise SettingsError(
            "the best step cannot be selected with a sharded base; leave --shard or --select out"
        )
    if own.is_first:
        yield own, folder, dict(watch)
    else:
        hush()
        with tempfile.TemporaryDirectory() as elsewhere:
            own_watch = {} if own.is_sharded else _UNWATCHED
            yield own, Path(elsewhere), {**watch, "tracker": "none", **own_watch}
    leave()
