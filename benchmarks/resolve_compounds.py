"""Resolve the compounds of real published tables, without a network, and time it against the plain pipeline.

Reads the tables of a folder of real data (LINCS, MoABox, Tahoe, the Repurposing Hub, sci-Plex, VCPI), sends every row
through `pbdb.identity.compounds.resolve`, and prints Markdown tables: routes, conflicts, distinct keys at each level,
overlaps between tables, and how the given InChIKeys agree with the standardised ones. The peer is the ChEMBL structure
pipeline called as its manual shows, with RDKit's InChIKeys, on the same sample of structures in one process; both do
standard form, parent and the two keys, ours also the key as written, formula, weight and two fingerprints.
Ends with one JSON line.

    python benchmarks/resolve_compounds.py --data ../shared/data --conflicts 5
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import lines
import pandas as pd
from chembl_structure_pipeline import standardizer
from rdkit import Chem, rdBase

from pbdb.identity.compounds import resolve as compounds
from pbdb.identity.compounds import structure as chem
from pbdb.identity.compounds.clean_text import inchikey_or_none, text_or_none
from pbdb.identity.compounds.resolve import Record, Resolution

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("inchikey", "parent_inchikey", "skeleton")
SAMPLE = 3000


@dataclass(frozen=True)
class Table:
    """A published table: its file, how it is read, and which of its columns says what."""

    name: str
    path: str
    read: Callable[[Path], pd.DataFrame]
    columns: dict[str, str]
    aliases: str | None = None


def tab(path: Path) -> pd.DataFrame:
    """Read a tab-separated table as text, quotes untouched."""
    return pd.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, encoding="latin-1")


def hub(path: Path) -> pd.DataFrame:
    """Read a table of the Repurposing Hub, whose first lines begin with an exclamation mark."""
    return pd.read_csv(path, sep="\t", dtype=str, skiprows=_leading_comments(path), encoding="latin-1")


def _leading_comments(path: Path) -> int:
    with gzip.open(path, "rt", encoding="latin-1") as file:
        return sum(1 for _ in takewhile(lambda line: line.startswith("!"), file))


def wells(path: Path) -> pd.DataFrame:
    """Read the compounds of a table of wells."""
    columns = ["treatment", "name", "SMILES", "CAS.Number"]
    return tab(path).drop_duplicates(columns)[columns]


TABLES = (
    Table(
        "LINCS pertinfo",
        "l1000/dhimmel_lincs/pertinfo.tsv.gz",
        tab,
        {
            "structure": "canonical_smiles",
            "inchikey": "inchi_key",
            "pubchem_cid": "pubchem_cid",
            "name": "pert_iname",
            "source_id": "pert_id",
        },
        "l1000",
    ),
    Table(
        "GSE70138 pert_info",
        "l1000/geo_GSE70138/GSE70138_Broad_LINCS_pert_info_2017-03-06.txt.gz",
        tab,
        {
            "structure": "canonical_smiles",
            "inchikey": "inchi_key",
            "name": "pert_iname",
            "source_id": "pert_id",
        },
        "l1000",
    ),
    Table(
        "MoABox",
        "drugseq_like/novartis/MoABox_compounds_metadata.txt.gz",
        tab,
        {
            "structure": "smiles",
            "inchikey": "inchi_key",
            "cas": "cas_number",
            "source_id": "cmpd_sample_id",
        },
    ),
    Table(
        "Tahoe drugs",
        "tahoe/drug_metadata.parquet",
        pd.read_parquet,
        {"structure": "canonical_smiles", "pubchem_cid": "pubchem_cid", "name": "drug"},
        "tahoe",
    ),
    Table(
        "Repurposing Hub",
        "reference/repurposing_hub/repurposing_samples_20200324.txt.gz",
        hub,
        {
            "structure": "smiles",
            "inchikey": "InChIKey",
            "pubchem_cid": "pubchem_cid",
            "name": "pert_iname",
            "source_id": "broad_id",
        },
    ),
    Table(
        "sci-Plex (chemCPA)",
        "sciplex/chemCPA/trapnell_drugs_smiles.csv",
        lambda path: pd.read_csv(path, header=None, names=["name", "smiles", "pathway"], dtype=str),
        {"structure": "smiles", "name": "name"},
        "sciplex",
    ),
    Table(
        "sci-Plex wells",
        "sciplex/Supplementary_Table_3.txt.gz",
        wells,
        {"structure": "SMILES", "cas": "CAS.Number", "name": "name", "source_id": "treatment"},
        "sciplex",
    ),
    Table(
        "VCPI",
        "vcpi/test_compounds.csv.gz",
        lambda path: pd.read_csv(path, dtype=str),
        {"structure": "smiles", "inchikey": "inchi_key", "name": "compound_name", "source_id": "compound"},
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One table, its records and what became of them."""

    table: Table
    records: list[Record]
    found: list[Resolution]
    seconds: float

    def keys(self, level: str) -> set[str]:
        """Return the distinct keys of a level."""
        return {key for resolution in self.found if (key := getattr(resolution, level))}


def main() -> None:
    """Resolve, print the tables, end with the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of real data")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--conflicts", type=int, default=0, help="conflicts to show of each kind")
    arguments = parser.parse_args()
    start = time.perf_counter()
    outcomes = [run(table, arguments.data, arguments.workers) for table in TABLES]
    seconds = time.perf_counter() - start
    print_routes(outcomes)
    print_agreement(outcomes)
    print_overlaps(outcomes)
    print_shared_cids(outcomes)
    show_conflicts(outcomes, arguments.conflicts)
    print_json(outcomes, seconds, arguments.workers)


def run(table: Table, data: Path, workers: int) -> Outcome:
    """Resolve all rows of a table."""
    frame = table.read(data / table.path)
    columns = {part: frame[column] for part, column in table.columns.items()}
    records = [Record(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    aliases = read_aliases(data.parent / "sources" / f"{table.aliases}_compound_aliases.csv") if table.aliases else {}
    start = time.perf_counter()
    found = compounds.resolve(records, aliases=aliases, workers=workers)
    return Outcome(table, records, found, time.perf_counter() - start)


def read_aliases(path: Path) -> dict[str, int]:
    """Read a table name,pubchem_cid."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: int(row["pubchem_cid"]) for row in csv.DictReader(file)}


def print_routes(outcomes: list[Outcome]) -> None:
    """Print rows, routes, conflicts and distinct keys of each table."""
    routes = [r for r in compounds.ROUTES if any(f.route == r for o in outcomes for f in o.found)]
    rows = []
    for outcome in outcomes:
        counts = Counter(resolution.route for resolution in outcome.found)
        conflicts = sum(resolution.conflict is not None for resolution in outcome.found)
        refused = sum(1 for r in outcome.found if r.problem and r.route != "structure" and "structure" in r.problem)
        keys = [len(outcome.keys(level)) for level in LEVELS]
        rows.append([outcome.table.name, len(outcome.found), *(counts[r] for r in routes), conflicts, refused, *keys])
    everywhere = [len(set().union(*(o.keys(level) for o in outcomes))) for level in LEVELS]
    rows.append(
        ["all", *(sum(row[i] for row in rows) for i in range(1, len(routes) + 4)), *everywhere]  # type: ignore[misc]
    )
    heads = ["table", "rows", *routes, "conflicts", "structure refused", "full keys", "parent keys", "skeletons"]
    print_table(heads, rows)


def print_agreement(outcomes: list[Outcome]) -> None:
    """Print how the given InChIKeys differ from the standardised ones."""
    counts = {outcome.table.name: agreement(outcome) for outcome in outcomes}
    counts = {name: count for name, count in counts.items() if count}
    classes = sorted({kind for count in counts.values() for kind in count}, key=lambda kind: (kind != "same", kind))
    rows = [[kind, *(counts[name][kind] for name in counts)] for kind in classes]
    print_table(["given InChIKey against ours", *counts], rows)


def agreement(outcome: Outcome) -> Counter[str]:
    """Count the kinds of difference over the rows with both a key and a structure."""
    kinds: Counter[str] = Counter()
    for record, resolution in zip(outcome.records, outcome.found, strict=True):
        key = inchikey_or_none(text_or_none(record.inchikey) or "")
        if key and resolution.structure:
            kind = compounds.difference(key, resolution.structure)
            kinds[kind or ("same" if key == resolution.inchikey else "standardisation")] += 1
    return kinds


def print_overlaps(outcomes: list[Outcome]) -> None:
    """Print, for each level, how many keys each pair of tables shares."""
    names = [outcome.table.name for outcome in outcomes]
    for level in LEVELS:
        rows = [
            [a.table.name, *(len(a.keys(level) & b.keys(level)) if j >= i else "" for j, b in enumerate(outcomes))]
            for i, a in enumerate(outcomes)
        ]
        print_table([f"shared {level}", *names], rows)


def print_shared_cids(outcomes: list[Outcome]) -> None:
    """Print how often one given CID stands for several identities over all tables."""
    rows = []
    for level in LEVELS:
        keys: dict[int, set[str]] = {}
        for resolution in (r for outcome in outcomes for r in outcome.found):
            if resolution.pubchem_cid and (key := getattr(resolution, level)):
                keys.setdefault(resolution.pubchem_cid, set()).add(key)
        rows.append([level, len(keys), sum(len(found) > 1 for found in keys.values())])
    print_table(["level", "CIDs with a key", "of which with several keys"], rows)


def show_conflicts(outcomes: list[Outcome], number: int) -> None:
    """Print some conflicts of each kind of each table, chosen by a fixed seed."""
    for outcome in outcomes if number else ():
        kinds: dict[str, list[tuple[Record, Resolution]]] = {}
        for record, resolution in zip(outcome.records, outcome.found, strict=True):
            if resolution.conflict:
                kinds.setdefault(resolution.conflict.split(":")[0], []).append((record, resolution))
        for kind, members in sorted(kinds.items()):
            print(f"\n{outcome.table.name}, {kind}: {len(members)}")
            for record, resolution in random.Random(1).sample(members, min(number, len(members))):
                print(f"  {record.name or record.source_id}: {record.structure}\n    {resolution.conflict}")


def print_json(outcomes: list[Outcome], seconds: float, workers: int) -> None:
    """Time ours and the peer on one sample, and print the JSON line."""
    distinct = {str(r.structure) for o in outcomes for r in o.records if text_or_none(r.structure)}
    sample = random.Random(1).sample(sorted(distinct), min(SAMPLE, len(distinct)))
    ours, peer = timed(chem.standardise, sample), timed(plain_pipeline, sample)
    print(f"\n{seconds:.0f} s for all tables with {workers} processes; {len(distinct)} distinct structures")
    line = {
        "name": "resolve_compounds",
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": "chembl_structure_pipeline, standard form and parent, with RDKit InChIKeys",
        "ratio": round(peer / ours, 2),
        "sizes": {
            "rows": sum(len(outcome.found) for outcome in outcomes),
            "structures": len(distinct),
            "sample": len(sample),
            "all_tables_s": round(seconds, 1),
        },
    }
    lines.report(line)


def timed(function: Callable[[str], object], structures: Iterable[str]) -> float:
    """Return the seconds a function takes over structures."""
    start = time.perf_counter()
    for structure in structures:
        function(structure)
    return time.perf_counter() - start


def plain_pipeline(structure: str) -> tuple[str, str] | None:
    """Return the keys of standard form and parent."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(structure)
        if mol is None:
            return None
        standard = standardizer.standardize_mol(mol)
        parent, _ = standardizer.get_parent_mol(standard)
        return Chem.MolToInchiKey(standard), Chem.MolToInchiKey(parent)


def print_table(heads: list[str], rows: list[list[object]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) + " |")


if __name__ == "__main__":
    main()
