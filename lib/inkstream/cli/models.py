"""models: which versions there are, which one answers, and what a change would change."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkstream.cli.results import parse_day

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from inkstream.model.shelf import Shelf

models = typer.Typer(no_args_is_help=True, help="The registry: versions of the model, and which one answers.")
Version = Annotated[str, typer.Argument(help="A version, or its first letters.", metavar="VERSION")]
Day = Annotated[str | None, typer.Option(help="A UTC day, YYYY-MM-DD, or today.", show_default="every day")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(models, name="models")


@models.command("list")
def list_() -> None:
    """Every version: which one answers, which one shadows it, what it was measured with."""
    from rich.table import Table

    from inkstream.cli.models_view import console, share, test_accuracy
    from inkstream.store.registry import read_state

    with _opened() as (session, shelf):
        state = read_state(session)
        current = state.current or shelf.default.version
        table = Table("version", "", "made", "recipe", "preprocessing", "classes", "test", box=None, pad_edge=False)
        for version, manifest in shelf.versions().items():
            role = "current" if version == current else "shadow" if version == state.shadow else ""
            row = (version[:12], role, manifest.created[:16].replace("T", " "), str(manifest.recipe.get("name", "")))
            table.add_row(
                *row,
                manifest.preprocess,
                str(len(manifest.labels)),
                share(test_accuracy(manifest.metrics)),
                style="bold green" if role == "current" else "yellow" if role else "",
            )
    console().print(table)
    if state.current is None:
        console().print(
            "Nothing was promoted yet: the bundle of the setting model.bundle answers, else the shipped one."
        )


@models.command()
def show(version: Version) -> None:
    """All that a version says of itself, and when it answered."""
    import json

    from inkstream.cli.models_view import console, history_table
    from inkstream.store.registry import read_state

    with _opened() as (session, shelf):
        found = shelf.find(version)
        manifest = shelf.versions()[found]
        changes = [change for change in read_state(session).history if change.version == found]
    console().print_json(json.dumps(manifest.model_dump(mode="json")))
    if changes:
        console().print(history_table(changes))


@models.command()
def history() -> None:
    """Who changed what, and when; oldest first."""
    from inkstream.cli.models_view import console, history_table
    from inkstream.store.registry import read_state

    with _opened() as (session, _):
        console().print(history_table(read_state(session).history))


@models.command(
    epilog="Examples: `./submit.sh models promote 22f26d7a`; `./submit.sh models promote var/bundles/mine`."
)
def promote(
    version: Annotated[str, typer.Argument(help="A version, its first letters, or a bundle's folder.")],
) -> None:
    """Let a version answer. A running stream takes it over within seconds, between two micro-batches.

    A bundle that fails its golden set is refused. A folder is copied into model.folder first.
    """
    from inkstream.cli.models_view import console
    from inkstream.store.registry import promote

    with _opened() as (session, shelf):
        found = _checked(shelf, version)
        promote(session, found, getpass.getuser(), shelf.default.version)
    console().print(f"Version {found[:12]} answers from now on; `./submit.sh models rollback` takes it back.")


@models.command()
def rollback() -> None:
    """Let the version answer that did before."""
    from inkstream.cli.models_view import console
    from inkstream.store.registry import read_state, rollback

    with _opened() as (session, shelf):
        earlier = read_state(session).earlier
        if earlier:
            _checked(shelf, earlier[-1])
        state = rollback(session, getpass.getuser())
    console().print(f"Version {(state.current or '')[:12]} answers again.")


@models.command(epilog="Examples: `./submit.sh models shadow 22f26d7a`; `./submit.sh models shadow --off`.")
def shadow(
    version: Annotated[
        str | None, typer.Argument(help="A version, its first letters, or a bundle's folder.", show_default=False)
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Nothing shadows any more.")] = False,
) -> None:
    """Let a version answer beside the current one: its rows are stored, its answers are not published."""
    from inkstream.cli.models_view import console
    from inkstream.errors import SettingError
    from inkstream.store.registry import set_shadow

    if off == (version is not None):
        raise SettingError("Give a VERSION that shadows the current one, or --off")
    with _opened() as (session, shelf):
        found = None if version is None else _checked(shelf, version)
        set_shadow(session, found, getpass.getuser(), shelf.default.version)
    said = f"Version {found[:12]} shadows the current one; look at `models compare`." if found else "Nothing shadows."
    console().print(said)


@models.command(
    "import",
    epilog="Examples: `./submit.sh models import var/bundles/mine`; `./submit.sh models import flowers.keras "
    "--labels daisy,rose,tulip --preprocess rgb/1 --scale -1..1`.",
)
def import_(
    path: Annotated[Path, typer.Argument(help="A Keras model file, or a bundle's folder.")],
    labels: Annotated[str, typer.Option(help="Of a Keras file: its classes in order, with commas.")] = "",
    preprocess: Annotated[str, typer.Option(help="rgb/1 (the whole picture, in colour) or digit28/1.")] = "rgb/1",
    scale: Annotated[str, typer.Option(help="Pixels as the model was trained: 0..255, 0..1 or -1..1.")] = "0..255",
    threshold: Annotated[float, typer.Option(help="Confidence under it is uncertain.", min=0, max=1)] = 0.5,
) -> None:
    """Put a bundle, or any Keras image classifier, among the versions. `models promote` then lets it answer."""
    import tempfile

    from inkstream.cli.models_view import console
    from inkstream.errors import SettingError
    from inkstream.local.extras import ensure_extra
    from inkstream.model.importing import SCALES, import_keras_model
    from inkstream.model.shelf import Shelf
    from inkstream.settings import load_settings

    shelf = Shelf(load_settings())
    if path.is_dir():
        bundle = shelf.add(path)
    elif not path.is_file():
        raise SettingError(f"PATH has the value {path}: there is no such file or folder")
    elif not labels or scale not in SCALES:
        raise SettingError(f"A Keras file needs --labels (a,b,c), and --scale is one of {', '.join(SCALES)}")
    else:
        ensure_extra("train")
        names = [label.strip() for label in labels.split(",")]
        with tempfile.TemporaryDirectory() as folder, console().status("Converting to LiteRT"):
            out = Path(folder) / "bundle"
            import_keras_model(path, names, out, preprocess=preprocess, scale=scale, threshold=threshold)
            bundle = shelf.add(out)
    console().print(f"Version {bundle.version[:12]} ({len(bundle.labels)} classes, {bundle.preprocess}) is there.")
    console().print(f"`./submit.sh models promote {bundle.version[:12]}` lets it answer.")


@models.command(
    epilog="Example: `./submit.sh models join var/models/narrow var/models/wide var/data/mnist --out var/models/both`."
)
def join(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            metavar="BUNDLE...", help="Two or three folders, the quickest first: the next is asked where one is unsure."
        ),
    ],
    data: Annotated[str, typer.Argument(help="What all learnt from: it tells when the next is to be asked.")],
    out: Annotated[Path, typer.Option(help="The new bundle's folder; must not exist yet.")],
) -> None:
    """Two or three bundles to one, a cascade: nearly as quick as the first, as often right as the last."""
    from inkstream.cli.models_view import console
    from inkstream.dataset.training_data import open_training_data
    from inkstream.dataset.watching import bundle_table
    from inkstream.model.bundle import load_bundle
    from inkstream.model.joining import join_bundles

    pictures, _ = open_training_data(data)
    with console().status("Asking the networks"):
        bundle = join_bundles([load_bundle(folder) for folder in bundles], pictures, out)
    console().print(bundle_table(bundle))
    console().print(f"{out}: version {bundle.version[:12]}. `./submit.sh models promote {out}` lets it answer.")


@models.command(
    epilog="Examples: `./submit.sh models compare` (the current version and its shadow); "
    "`./submit.sh models compare 22f26d7a 9a01bc33 --day today`."
)
def compare(
    old: Annotated[str | None, typer.Argument(help="Default: the current version.", show_default=False)] = None,
    new: Annotated[str | None, typer.Argument(help="Default: the shadow.", show_default=False)] = None,
    day: Day = None,
) -> None:
    """How two versions answered the pictures that both have seen: agreed, changed, right and wrong."""
    from inkstream.cli.models_view import console, show_comparison
    from inkstream.errors import SettingError
    from inkstream.store.comparison import compare
    from inkstream.store.registry import read_state
    from inkstream.store.results import read_days

    wanted = parse_day(day)
    with _opened() as (session, shelf):
        state = read_state(session)
        first = shelf.find(old) if old else state.current or shelf.default.version
        second = shelf.find(new) if new else state.shadow
        if second is None:
            raise SettingError("Nothing shadows the current version; name two versions (`./submit.sh models list`)")
        result = compare(session, [wanted] if wanted else read_days(session), first, second)
    show_comparison(result, console())


@models.command(epilog="Examples: `./submit.sh models queue --limit 50`; `./submit.sh models queue --csv queue.csv`.")
def queue(
    day: Day = None,
    limit: Annotated[int, typer.Option(help="So many pictures.", min=1)] = 20,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write CSV to this file; - for the terminal.", metavar="FILE")
    ] = None,
) -> None:
    """The pictures most worth a person's label: versions disagree about them, or are unsure.

    What was corrected already is not in it.
    """
    from inkstream.cli.rows import open_rows
    from inkstream.store.comparison import find_candidates
    from inkstream.store.results import read_days

    wanted = parse_day(day)
    columns = ("image_id", "filename", "source", "answers", "why", "worth")
    with _opened() as (session, _), open_rows(columns, csv_file=csv) as rows:
        for one in find_candidates(session, [wanted] if wanted else read_days(session), limit):
            rows.write({**{name: getattr(one, name) for name in columns}, "worth": round(one.worth, 3)})


@contextmanager
def _opened() -> Iterator[tuple[Session, Shelf]]:
    from inkstream.model.shelf import Shelf
    from inkstream.settings import load_settings
    from inkstream.store.session import open_session

    settings = load_settings()
    with open_session(settings.cassandra) as session:
        yield session, Shelf(settings)


def _checked(shelf: Shelf, text: str) -> str:
    """A version that is on the shelf and passes its golden set; a folder's bundle is put there first."""
    from inkstream.model.bundle import check_golden, load_bundle
    from inkstream.model.manifest import MANIFEST
    from inkstream.model.reading import Reader
    from inkstream.settings import load_settings

    folder = Path(text)
    is_folder = (folder / MANIFEST).is_file()
    bundle = load_bundle(folder) if is_folder else shelf.load(shelf.find(text))
    check_golden(bundle, Reader(bundle, load_settings().image).engine)
    return shelf.add(folder).version if is_folder else bundle.version
