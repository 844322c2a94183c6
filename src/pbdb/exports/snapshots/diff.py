"""What changed between two snapshots, from their manifests and Parquet files alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.rows import Json, Row
from pbdb.exports.snapshots import manifest, parquet, verify
from pbdb.exports.snapshots.differences import ByDataset, Changes, CompoundChanges, Difference, Pairs, SchemaChanges
from pbdb.exports.snapshots.manifest_shape import Manifest

N_EXAMPLES = 5
FACTS_OF_DATASET = (
    "release", "license", "doi", "access", "is_redistributable", "is_non_commercial", "fingerprint", "n_conditions",
    "n_samples", "n_effects",
)  # fmt: skip
# Which numbers of an effect differ is told by kind. limma's p values are the primary ones where no others are.
NUMBERS = {
    "numbers": ("log2_fc", "se"),
    "p_values": ("neg_log10_p", "neg_log10_p_adj"),
    "limma_p_values": (
        "coalesce(neg_log10_p_limma, neg_log10_p)", "coalesce(neg_log10_p_adj_limma, neg_log10_p_adj)",
    ),
}  # fmt: skip
BEFORE_LIMMA = ("neg_log10_p_limma", "neg_log10_p_adj_limma")


def compare(before: Path, after: Path) -> Difference:
    """Return what changed from one snapshot folder to another, as plain values.

    releases, datasets (added, removed, changed with the facts that changed), compounds (added, removed, merged,
    split, changed), conditions (added, removed, changed, by dataset), effects (whose status, genes, numbers, p values
    or limma's p values changed, by dataset), fits, matches, splits (with members), agreements (by parameters), genes,
    vocabularies, schema, tables, samples, and other files (counted by folder). What a file holds is taken from the
    manifest where that says enough: `verify` tells whether it is so.

    Raises:
        SnapshotError: one of them is no snapshot, or a file that is read is damaged.
    """
    old, new = manifest.read(before), manifest.read(after)
    _require_sizes(before, old)
    _require_sizes(after, new)
    try:
        return _differences(before, after, old, new)
    except (ValueError, LookupError, TypeError, AttributeError, MemoryError) as problem:
        raise SnapshotError(
            f"'{before}' and '{after}' cannot be compared ({first_line(problem)}): `pbdb snapshot verify` tells whether"
            " they are as they were written."
        ) from problem


def _differences(before: Path, after: Path, old: Manifest, new: Manifest) -> Difference:
    return {
        "releases": [old["release"], new["release"]],
        "is_same": old["fingerprint"] == new["fingerprint"],
        "datasets": _datasets(old, new),
        "compounds": _compounds(before, after),
        "conditions": _conditions(before, after),
        "effects": _effects(before, after, old, new),
        "fits": _fits(old, new),
        "matches": _matches(old, new),
        "splits": _listed(_splits(before), _splits(after), ("split",)),
        "agreements": _agreements(old, new),
        "genes": _changed(old["genes"], new["genes"]),
        "vocabularies": _listed(
            old["vocabularies"], new["vocabularies"], ("kind", "release"), ("sha256", "is_current")
        ),
        "schema": _schema(before, after, old, new),
        "tables": _files(old, new, "core/", ("sha256", "rows")),
        "samples": _files(old, new, "samples/", ("sha256", "bytes")),
        "files": _other_files(old, new),
    }


# --- manifests -------------------------------------------------------------------------------------------------------


def _changed(old: Mapping[str, object], new: Mapping[str, object], names: Iterable[str] | None = None) -> Pairs:
    """Facts that differ, each with the value before and after."""
    keys = list(names) if names is not None else sorted({*old, *new})
    return {name: [old.get(name), new.get(name)] for name in keys if old.get(name) != new.get(name)}


def _listed(
    old: Sequence[Mapping[str, object]],
    new: Sequence[Mapping[str, object]],
    key: Sequence[str],
    facts: Sequence[str] | None = None,
) -> Changes:
    """Rows by key: those added, removed, and changed with what changed."""
    was, now = ({" ".join(str(row[name]) for name in key): row for row in rows} for rows in (old, new))
    changed = {name: _changed(was[name], now[name], facts) for name in sorted(set(was) & set(now))}
    return {
        "added": sorted(set(now) - set(was)),
        "removed": sorted(set(was) - set(now)),
        "changed": {name: what for name, what in changed.items() if what},
    }


def _datasets(old: Manifest, new: Manifest) -> Changes:
    return _listed(old["datasets"], new["datasets"], ("dataset",), FACTS_OF_DATASET)


def _fits(old: Manifest, new: Manifest) -> Changes:
    was, now = ([fit | {"stratum": fit["stratum"] or ""} for fit in facts["fits"]] for facts in (old, new))
    facts = ("is_default", "n_effects", "n_genes", "code_version", "parameters")
    return _listed(was, now, ("dataset", "context", "stratum", "method", "mode", "fit_id"), facts)


def _matches(old: Manifest, new: Manifest) -> Changes:
    was, now = (
        [
            row | {"rule": f"by {row['inchikey_level']}, within {row['time_tolerance_h']:g} h"}
            for row in facts["matches"]
        ]
        for facts in (old, new)
    )
    return _listed(was, now, ("rule",), ("n",))


def _agreements(old: Manifest, new: Manifest) -> Changes:
    """Sets of parameters added and removed, each told by what is not so in the nearest set of the other snapshot."""
    was, now = ([row["parameters"] for row in facts["agreements"]] for facts in (old, new))
    return {
        "added": sorted(_unlike(parameters, was) for parameters in now if parameters not in was),
        "removed": sorted(_unlike(parameters, now) for parameters in was if parameters not in now),
        "changed": {},
    }


def _unlike(parameters: Json, others: Sequence[Json]) -> str:
    nearest = min((_changed(other, parameters) for other in others), key=len, default=parameters)
    return json.dumps({name: parameters.get(name) for name in sorted(nearest)})


# --- files -----------------------------------------------------------------------------------------------------------


def _files(old: Manifest, new: Manifest, folder: str, facts: Sequence[str]) -> Changes:
    """Files of a folder by name."""
    was, now = (
        [file for file in facts_of_one["files"] if file["path"].startswith(folder)] for facts_of_one in (old, new)
    )
    return _listed(was, now, ("path",), facts)


def _other_files(old: Manifest, new: Manifest) -> dict[str, dict[str, int]]:
    """Counts of the files added, removed and changed, by folder; a file of none stands for itself."""
    was, now = ({file["path"]: file["sha256"] for file in facts["files"]} for facts in (old, new))
    kinds = {
        "added": set(now) - set(was),
        "removed": set(was) - set(now),
        "changed": {path for path in set(was) & set(now) if was[path] != now[path]},
    }
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, paths in kinds.items():
        for folder, n in Counter("".join(path.partition("/")[:2]) for path in paths).items():
            if folder not in ("core/", "samples/"):
                counts[folder][kind] = n
    return dict(sorted(counts.items()))


def _require_sizes(folder: Path, facts: Manifest) -> None:
    """Refuse files that are not there or of another size, which costs no reading."""
    for file in facts["files"]:
        path = folder / file["path"]
        if not path.is_file() or path.stat().st_size != file["bytes"]:
            raise _damaged(folder, file["path"])


@contextmanager
def _readable(folder: Path, path: str) -> Iterator[None]:
    """Say in a sentence that a file cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError, LookupError):
        raise _damaged(folder, path) from None


def _damaged(folder: Path, path: str) -> SnapshotError:
    return SnapshotError(
        f"'{folder / path}' is missing or damaged: `pbdb snapshot verify {folder}` tells which files are.", file=path
    )


# --- identity --------------------------------------------------------------------------------------------------------


def _table(folder: Path, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    path = f"core/{name}.parquet"
    with _readable(folder, path):
        parquet.require_plausible(folder / path)
        return pd.DataFrame(pq.read_table(folder / path, columns=columns).to_pydict())


def _compounds(before: Path, after: Path) -> CompoundChanges:
    """Compounds by InChIKey; merged and split are seen in what each dataset's own compounds resolve to."""
    was, now = (set(_table(folder, "compound", ["inchikey"])["inchikey"]) for folder in (before, after))
    both = _resolved(before).merge(_resolved(after), on=["dataset", "source_key"], suffixes=("_before", "_after"))
    pairs = both[["inchikey_before", "inchikey_after"]].dropna().drop_duplicates()
    merged = _several(pairs, "inchikey_after", "inchikey_before")
    split = _several(pairs, "inchikey_before", "inchikey_after")
    moved = pairs[pairs["inchikey_before"] != pairs["inchikey_after"]]
    explained = {key for keys in merged.values() for key in keys} | set(split)
    renamed = moved[~moved["inchikey_before"].isin(explained)]
    return {
        "added": sorted(now - was),
        "removed": sorted(was - now),
        "merged": merged,
        "split": split,
        "changed": dict(renamed.itertuples(index=False, name=None)),
        "newly_resolved": int((both["inchikey_before"].isna() & both["inchikey_after"].notna()).sum()),
        "no_longer_resolved": int((both["inchikey_before"].notna() & both["inchikey_after"].isna()).sum()),
    }


def _resolved(folder: Path) -> pd.DataFrame:
    """What each dataset's own compounds resolve to: dataset, source_key, inchikey (None: unresolved)."""
    sources = _table(folder, "source_compound", ["dataset_id", "source_key", "compound_id"])
    names = _table(folder, "dataset", ["dataset_id", "dataset"])
    keys = _table(folder, "compound", ["compound_id", "inchikey"])
    resolved = sources.merge(names, on="dataset_id").merge(keys, how="left", on="compound_id")
    return resolved[["dataset", "source_key", "inchikey"]]


def _splits(folder: Path) -> list[Row]:
    """Splits by name, with the number of members of each fold."""
    members = _table(folder, "split_member", ["split_id", "fold"])
    splits = _table(folder, "split", ["split_id", "split", "kind", "parameters"])
    return [
        {"split": split, "kind": kind, "parameters": parameters}
        | {"members": members.loc[members["split_id"] == key, "fold"].value_counts().sort_index().to_dict()}
        for key, split, kind, parameters in splits.itertuples(index=False, name=None)
    ]


def _several(pairs: pd.DataFrame, of: str, side: str) -> dict[str, list[str]]:
    """Keys of one side that stand with several of the other."""
    groups = pairs.groupby(of, sort=True)[side].agg(lambda keys: sorted(set(keys)))
    return {str(key): keys for key, keys in groups.items() if len(keys) > 1}


# --- conditions and effects --------------------------------------------------------------------------------------


def _conditions(before: Path, after: Path) -> ByDataset:
    """By dataset: conditions added, removed, and changed in anything but their effects."""
    names = pd.concat([_table(folder, "dataset", ["dataset_id", "dataset"]) for folder in (before, after)])
    name_of = dict(names.drop_duplicates().itertuples(index=False, name=None))
    was, now = (_table(folder, "condition").set_index("condition_id") for folder in (before, after))
    shared = [column for column in was.columns if column in now.columns]
    common = was.index.intersection(now.index)
    same = was.loc[common, shared].eq(now.loc[common, shared]) | (
        was.loc[common, shared].isna() & now.loc[common, shared].isna()
    )
    ids = {
        "added": now.loc[now.index.difference(was.index), "dataset_id"],
        "removed": was.loc[was.index.difference(now.index), "dataset_id"],
        "changed": now.loc[common[~same.all(axis=1)], "dataset_id"],
    }
    return _by_dataset({what: column.map(name_of) for what, column in ids.items()})


def _by_dataset(columns: Mapping[str, pd.Series[Any]]) -> ByDataset:
    """Counts and examples of each kind of change, by dataset."""
    changes: ByDataset = defaultdict(dict)
    for what, datasets in columns.items():
        for dataset, keys in datasets.groupby(datasets, sort=True):
            changes[str(dataset)][what] = {"n": len(keys), "examples": [int(key) for key in keys.index[:N_EXAMPLES]]}
    return dict(sorted(changes.items()))


def _effects(before: Path, after: Path, old: Manifest, new: Manifest) -> ByDataset:
    """By dataset: conditions whose effect in the default fit changed its status, its genes, or its NUMBERS, by kind.

    Files of equal hash are equal; only the others are read.
    """
    hashes = [{file["path"]: file["sha256"] for file in facts["files"]} for facts in (old, new)]
    paths = [[path for path in listed if path.startswith("effect/") and path.endswith(".parquet")] for listed in hashes]
    different = [[path for path in some if hashes[0].get(path) != hashes[1].get(path)] for some in paths]
    if not all(different):
        return {}
    was, now = (_hashed(folder, some) for folder, some in zip((before, after), different, strict=True))
    both = was.merge(now, on=["dataset", "condition_id"], suffixes=("_before", "_after")).set_index("condition_id")
    is_status = both["status_before"] != both["status_after"]
    is_genes = ~is_status & (both["feature_set_id_before"] != both["feature_set_id_after"])
    alike = ~is_status & ~is_genes
    numbers = {kind: alike & (both[f"{kind}_before"] != both[f"{kind}_after"]) for kind in NUMBERS}
    kinds = {"status": is_status, "genes": is_genes, **numbers}
    return _by_dataset({f"changed_{what}": both.loc[rows, "dataset"] for what, rows in kinds.items()})


def _hashed(folder: Path, paths: Sequence[str]) -> pd.DataFrame:
    """One row for each effect: condition, status, feature set, and a hash of each kind of its numbers."""
    import duckdb

    files = [str(folder / path) for path in paths]
    hashes = ", ".join(f"hash({', '.join(columns)})::VARCHAR AS {kind}" for kind, columns in NUMBERS.items())
    query = f"SELECT dataset, condition_id, status, feature_set_id, {hashes} FROM ({_with_limma(folder, paths)})"
    try:
        with duckdb.connect() as connection:
            connection.execute("SET memory_limit = '2GB'")
            return connection.execute(query, {"files": files}).df()
    except duckdb.Error:
        damage = next(verify.files(folder, manifest.read(folder), below=tuple(paths)), None)
        if damage is None:
            raise
        raise _damaged(folder, damage.path) from None


def _with_limma(folder: Path, paths: Sequence[str]) -> str:
    """Read effects; files from before there were p values of counts lack limma's as columns of their own."""
    held = {column for path in paths for column in _types(folder, path)}
    absent = "".join(f", NULL::FLOAT[] AS {column}" for column in BEFORE_LIMMA if column not in held)
    return f"SELECT *{absent} FROM read_parquet($files, hive_partitioning = true, union_by_name = true)"


# --- schema ----------------------------------------------------------------------------------------------------------


def _schema(before: Path, after: Path, old: Manifest, new: Manifest) -> SchemaChanges:
    """Revision and views; tables added and removed; columns added, removed, or of another type."""
    was, now = (_columns(folder, facts) for folder, facts in ((before, old), (after, new)))
    changed = {}
    for name in sorted(set(was) & set(now)):
        columns = _changed(was[name], now[name])
        if columns:
            changed[name] = columns
    return {
        "revision": [old["schema"]["revision"], new["schema"]["revision"]],
        "views_changed": old["schema"]["views"] != new["schema"]["views"],
        "tables_added": sorted(set(now) - set(was)),
        "tables_removed": sorted(set(was) - set(now)),
        "columns": changed,
    }


def _columns(folder: Path, facts: Manifest) -> dict[str, dict[str, str]]:
    """Column types of each table: core/<table>, view/<view>, and one file of each partitioned dataset."""
    first: dict[str, str] = {}
    for file in facts["files"]:
        path = file["path"]
        if path.endswith(".parquet"):
            top = path.split("/")[0]
            first.setdefault(path.removesuffix(".parquet") if top in ("core", "view") else top, path)
    return {name: _types(folder, path) for name, path in first.items()}


def _types(folder: Path, path: str) -> dict[str, str]:
    with _readable(folder, path):
        return {field.name: str(field.type) for field in pq.read_schema(folder / path)}
