"""A snapshot open for reading: the same calls as the database, answered by DuckDB from files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pbdb.common.errors import QueryError, SnapshotError
from pbdb.common.rows import plain
from pbdb.common.sql_text import literal
from pbdb.database.effect_arrays import BY_EFFECT
from pbdb.exports.snapshots import duckdb_catalog, duckdb_file, manifest

if TYPE_CHECKING:
    import anndata as ad
    import duckdb
    import pandas as pd

NAMED = re.compile(r"%\((\w+)\)s")


class Snapshot:
    """A snapshot in a folder, open for reading; close it, or use it as a context.

    It may come from anybody: no query and no view reads a file outside the folder, and views and macros are those that
    this version of pbdb makes, unless the folder is `trusted`, as one of another version must be.

    Raises:
        SnapshotError: it is no snapshot, or its tables, views and macros are others.
    """

    def __init__(self, folder: str | Path, *, trusted: bool = False):
        self.folder = folder = Path(folder)
        self.manifest = manifest.read(folder)
        self.connection: duckdb.DuckDBPyConnection = duckdb_file.connect(folder / duckdb_file.NAME)
        if not trusted:
            self._require_own()

    def _require_own(self) -> None:
        others = duckdb_catalog.differences(self.connection, (file["path"] for file in self.manifest["files"]))
        if others:
            self.close()
            is_of_this_version = self.manifest["schema"] == manifest.own_schema()
            remedy = "make it anew with `pbdb snapshot reindex`" if is_of_this_version else self._exported_anew()
            raise SnapshotError(
                f"'{self.folder / duckdb_file.NAME}' holds other tables or views than this version of pbdb makes (such"
                f" as {others[0]}): {remedy}, or, if you trust who made it, pbdb.connect(folder, trusted=True)."
            )

    def _exported_anew(self) -> str:
        """What to do with a snapshot of another version, whose files this one cannot make into its own."""
        return f"export the snapshot anew, or use the pbdb {self.manifest['pbdb_version']} that made it"

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one query and return its rows, as `Database.sql` does.

        parameters: values for %(name)s (or DuckDB's own $name) in the query; any other % stands for itself.

        Raises:
            QueryError: DuckDB refuses it.
        """
        import duckdb
        import pandas as pd

        written = NAMED.sub(r"$\1", query).replace("%%", "%") if parameters else query
        try:
            done = self.connection.execute(written, plain(parameters) if parameters else None)
            frame = pd.DataFrame(done.fetchall(), columns=[column[0] for column in done.description or ()])
        except duckdb.Error as problem:
            raise QueryError(f"DuckDB refused the query: {' '.join(str(problem).split())}") from None
        for name, kind in ((column[0], str(column[1])) for column in done.description or ()):
            if kind == "JSON":
                frame[name] = [None if text is None else json.loads(text) for text in frame[name]]
        return frame

    def signatures(
        self, *, dataset: str | None = None, context: str | None = None, compound: str | None = None
    ) -> ad.AnnData:
        """Estimated effects of default fits as AnnData: effects x genes, as `Database.signatures` gives them.

        Raises:
            QueryError: no effect fits the selection.
            SnapshotError: the effects are damaged.
        """
        import anndata as ad

        chosen = {"dataset": dataset, "context": context, "compound_name": compound}
        wanted = {name: value for name, value in chosen.items() if value is not None}
        where = "".join(f" AND {name} = {literal(value)}" for name, value in wanted.items())
        obs = self.sql(_EFFECTS + where + " ORDER BY fit_id, effect_id")
        if obs.empty:
            raise QueryError(f"No estimated effect fits {wanted or 'an empty snapshot'}.")
        var = self.sql(_GENES, {"fits": obs["fit_id"].unique().tolist()}).set_index("gene_id")
        try:
            layers = self._layers(obs, var["gene_key"].to_numpy(), where)
        except (ValueError, IndexError):
            raise SnapshotError(
                f"Effects of '{self.folder}' are not as long as their fits have genes: take it anew from where it came."
            ) from None
        obs = obs.drop(columns="fit_id").set_index(obs["effect_id"].astype(str).rename(None))
        return ad.AnnData(layers["log2_fc"], obs=obs, var=var.drop(columns="gene_key"), layers=layers)

    def _layers(
        self, obs: pd.DataFrame, gene_keys: np.ndarray[Any, Any], where: str
    ) -> dict[str, np.ndarray[Any, Any]]:
        layers = {name: np.full((len(obs), len(gene_keys)), np.nan, dtype=np.float32) for name in BY_EFFECT}
        for fit_id in obs["fit_id"].unique().tolist():
            rows = np.flatnonzero(obs["fit_id"] == fit_id)
            keys = self.sql(_FIT_GENES, {"fit": fit_id})["gene_key"].to_numpy()
            columns = np.searchsorted(gene_keys, keys)
            found = self.connection.sql(
                f"SELECT {', '.join(BY_EFFECT)} FROM core.default_effect"
                f" WHERE fit_id = {fit_id} AND status = 'ok'{where} ORDER BY effect_id"
            ).to_arrow_table()
            for name in BY_EFFECT:
                values = found[name].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
                layers[name][rows[:, None], columns[None, :]] = values
        return layers


_EFFECTS = """
SELECT effect_id, fit_id, condition_id, dataset, compound_name, inchikey, context, context_name, dose_um, time_h,
    stratum, n_treated, n_vehicle, n_plates, n_up, n_down
FROM effect WHERE is_default AND status = 'ok'"""
_GENES = """
SELECT DISTINCT g.gene_id, g.gene_key, g.gene_symbol FROM core.fit f
JOIN core.feature_set_gene g ON g.feature_set_id = f.feature_set_id
WHERE list_contains(%(fits)s, f.fit_id) ORDER BY g.gene_key"""
_FIT_GENES = """
SELECT g.gene_key FROM core.fit f JOIN core.feature_set_gene g ON g.feature_set_id = f.feature_set_id
WHERE f.fit_id = %(fit)s ORDER BY g.place"""
