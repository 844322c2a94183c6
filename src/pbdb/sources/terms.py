"""What may be done with a data set and how to get its files, in words."""

from __future__ import annotations

import os

from pbdb.sources.declaration import Access, Dataset, File, Source
from pbdb.sources.fetch import how_to_get

ACCESS: dict[Access, str] = {
    "open": "open: anyone may get the files",
    "token": "token: a free account of the provider's, whose token you need",
    "gated": "gated: the provider's conditions have to be accepted first",
    "on_request": "on request: the provider gives the files by agreement",
}


def described(source: Source, dataset: str) -> list[tuple[str, str]]:
    """Terms of a data set, its files, and the commands that load it, as pairs of a heading and words."""
    declared, assay = source.datasets[dataset], source.of(dataset).assay
    lines = [
        ("release", declared.release),
        ("technology", f"{assay.technology}, {assay.readout}"),
        ("license", declared.license),
        ("allowed", allowed(declared)),
        ("citation", declared.citation),
        ("doi", declared.doi),
        ("access", ACCESS[declared.access]),
        ("token", _token(declared)),
        ("shares wells", _overlap(source, dataset)),
        *(("file" if at == 0 else "", _file(file)) for at, file in enumerate(source.files_of(dataset).values())),
        *(("get it" if at == 0 else "", words) for at, words in enumerate(_ways(source, dataset))),
    ]
    return [(heading, words) for heading, words in lines if words]


def allowed(dataset: Dataset) -> str:
    """What the terms allow, and what is done to keep them."""
    use = "non-commercial use only" if dataset.is_non_commercial else "any use the license names"
    if dataset.is_redistributable:
        return f"{use}; may be passed on with its license and citation"
    return f"{use}; may not be passed on: snapshots leave it out, and the role pbdb_public sees nothing of it"


def _token(dataset: Dataset) -> str | None:
    if dataset.token is None:
        return None
    state = "set" if os.environ.get(dataset.token) else "not set"
    return f"environment variable {dataset.token} ({state}); it is shown and stored nowhere"


def _overlap(source: Source, dataset: str) -> str | None:
    group = source.datasets[dataset].overlap_group
    groups = {key: declared.overlap_group for key, declared in source.datasets.items()}
    others = [key for key, its_group in groups.items() if group and its_group == group and key != dataset]
    if not others:
        return None
    counts = "this one counts" if source.datasets[dataset].is_primary else "the other one counts"
    return f"with {', '.join(others)}: the two are never matched with each other, and in totals {counts}"


def _file(file: File) -> str:
    where = file.url or "by hand"
    return f"{file.name} ({where}{', may be absent' if file.optional else ''})"


def _ways(source: Source, dataset: str) -> list[str]:
    """Commands, and what has to be done before them."""
    if source.folder is not None:
        place = source.folder.resolve()
        return [f"the files lie in {place}: pbdb etl load ./{source.key}.py   (the path of the declaration)"]
    command = f"pbdb etl load {source.key}"
    if len(source.datasets) > 1:
        command += f" --dataset {dataset}"
    can_fetch = all(file.url for file in source.files_of(dataset).values() if not file.optional)
    if can_fetch:
        return [
            f"{command}   (fetches the files)",
            f"or put the files into a folder: {command} --from FOLDER   (offline)",
        ]
    declared = source.datasets[dataset]
    return [f"{how_to_get(source, declared)};", f"then put them into one folder: {command} --from FOLDER   (offline)"]
