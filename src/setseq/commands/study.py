"""``setseq study``: hold a user study on a bench folder, and count its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.errors import OutputError
from setseq.outputs import check_output, write_bytes
from setseq.terminal import say

app = typer.Typer(help="A blind user study on the videos of `setseq bench`.", no_args_is_help=True)

BenchFolder = Annotated[Path, typer.Argument(help="A folder that `setseq bench` wrote.")]


@app.command()
def serve(
    folder: BenchFolder,
    reference_method: Annotated[
        str | None, typer.Option(help="Compared with every other; set-and-sequence by default.")
    ] = None,
    questions: Annotated[
        str | None, typer.Option(help="Some of identity, motion, prompt, overall.")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(help="Pairs for each participant; 4 for each rival by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of order and sides; 0 by default.")] = None,
    ties: Annotated[
        bool | None, typer.Option("--ties", help='Offer "no difference", counted half.')
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Use what is there where videos are missing.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Show the pairs on a page of this machine, until Ctrl-C; answers go to FOLDER/study.sqlite."""
    from setseq.study.server import StudyServer
    from setseq.study.session import open_study

    given = {
        "reference_method": reference_method,
        "questions": None if questions is None else [name.strip() for name in questions.split(",")],
        "pairs": pairs,
        "seed": seed,
        "ties": ties,
    }
    study = open_study(folder, given, allow_missing=allow_missing)
    with StudyServer(study, port) as server:
        for line in study.notes:
            say(line)
        say(
            f"{study.settings.pairs} of {len(study.deck)} pairs for each participant;"
            f" answers go to {study.answers.path}"
        )
        say(f"open {server.url} (Ctrl-C ends; nothing is lost)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say(f"ended; `setseq study export {folder}` counts the answers")


@app.command()
def export(
    folder: BenchFolder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The table, .md; FOLDER/study.md by default."),
    ] = None,
) -> None:
    """Write the table of preferences (.md and .json) and every answer (.csv)."""
    from setseq.bench.folder import Folder
    from setseq.study.session import read_results
    from setseq.study.table import to_csv, to_json, to_markdown

    results = read_results(folder)
    path = check_output(out or folder / "study.md", (".md",))
    table = to_markdown(results)
    written = {
        path: table,
        path.with_suffix(".json"): to_json(results),
        path.with_suffix(".csv"): to_csv(results.answers),
    }
    if own := [place for place in written if Folder(folder).owns(place)]:
        raise OutputError(f"{own[0]}: is a place of the bench itself; use another name")
    for place, text in written.items():
        write_bytes(place, text.encode())
    typer.echo(table)
    say(", ".join(map(str, written)))
