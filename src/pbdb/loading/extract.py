"""The first stage of a load, after which it is known whether there is anything to do."""

from __future__ import annotations

from pbdb.identity.vocabulary import deciding
from pbdb.loading.dataset_load import DatasetLoad
from pbdb.sources import fetch


def find_files(load: DatasetLoad) -> None:
    """extract: find or fetch the files of the release, check their hashes, and see which vocabularies are in use."""
    with load.stage("extract") as entry:
        load.located = fetch.locate(
            load.source,
            load.dataset,
            load.settings,
            load.choices.folder,
            verify=load.choices.verify,
            progress=load.reporter.progress,
        )
        with load.engine.connect() as connection:
            in_use = deciding.in_use(connection)
        load.releases = list(in_use.values())
        entry.report = {"vocabularies": in_use}
        entry.rows_in = entry.rows_out = len(load.located)
    n_bytes = sum(file.n_bytes for file in load.located.values())
    load.reporter.stage("extract", f"{len(load.located)} files, {n_bytes / 1e6:,.1f} MB, hashes checked")
