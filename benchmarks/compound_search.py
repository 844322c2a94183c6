"""Search 37,000 compounds by similarity in SQL and by substructure in the client, against RDKit in memory.

Makes varied drug-like structures from scaffolds, linkers and groups, puts them into a database of their own (an
embedded server in a throw-away home), and times `pbdb.similar_compounds` (one process, exact) and
`search.with_substructure` from the call to the last row, median of several queries. The peers hold all compounds in
memory: RDKit's BulkTanimotoSimilarity, and HasSubstructMatch over SMILES that are read for the query, without a screen.
Every answer is compared with the peer's. Ends with one JSON line.

    python benchmarks/compound_search.py --compounds 37000
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lines
import pandas as pd
from rdkit import Chem, DataStructs, rdBase
from sqlalchemy import Engine, text

from pbdb.common.ids import stable_ids
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.database.copy_text import copy_frame
from pbdb.identity.compounds import structure
from pbdb.identity.compounds.many_structures import standardise_all
from pbdb.identity.compounds.structure import Structure
from pbdb.query import compounds as compound_search
from pbdb.query.database import Database
from pbdb.server import connect

SCAFFOLDS = (
    "c1ccc({0})cc1{1}", "c1cc({0})ncc1{1}", "c1nc({0})ncc1{1}", "c1ccc2c(c1)nc({0})n2{1}", "c1ccc2[nH]c({0})c({1})c2c1",
    "C1CCN({0})CC1{1}", "C1CN({0})CCN1{1}", "C1CCC({0})CC1{1}", "c1cc2ccc({0})nc2cc1{1}", "c1csc({0})c1{1}",
    "c1coc({0})c1{1}", "c1c({0})[nH]nc1{1}", "O=C1NC(=O)C({0})N1{1}", "c1ccc2c(c1)OCC({0})C2{1}", "C1OC({0})CC1{1}",
    "c1ccc2c(c1)CCN({0})C2{1}", "c1ncc2c(n1)n({0})cn2{1}", "c1ccc2c(c1)c({0})nn2{1}",
)  # fmt: skip
LINKERS = ("{0}", "C{0}", "CC{0}", "C(=O)N{0}", "NC(=O){0}", "S(=O)(=O)N{0}", "OC{0}", "C(=O){0}", "C=C{0}", "N(C){0}")
GROUPS = (
    "C", "CC", "C(C)C", "C1CC1", "c1ccccc1", "c1ccncc1", "c1ccc(F)cc1", "c1ccc(Cl)cc1", "c1ccc(OC)cc1", "c1ccc(C#N)cc1",
    "C(F)(F)F", "CO", "CN(C)C", "C1CCOCC1", "c1cccs1", "c1ccoc1", "c1ccc2ccccc2c1", "C(=O)O", "C(=O)NO", "CCBr",
    "c1cc(F)cc(F)c1", "C[C@H](N)C(=O)O", "CP(=O)(O)O", "c1ccc(cc1)C(C)(C)C", "CCCCCC", "C1CCNCC1", "CC#C", "c1nnn[nH]1",
)  # fmt: skip
PATTERNS = ("C(=O)NO", "c1ccc2[nH]ccc2c1", "S(=O)(=O)N", "C(F)(F)F", "c1ccoc1", "C[C@H](N)C(=O)O", "c1ccccc1")
N_QUERIES = 20
K = 20


def structures(n: int) -> list[str]:
    """Make n different SMILES."""
    arms = [linker.format(group) for linker, group in itertools.product(LINKERS, GROUPS)]
    combinations = list(itertools.product(SCAFFOLDS, arms, arms))
    random.Random(1).shuffle(combinations)
    made: dict[str, None] = {}
    for scaffold, left, right in combinations:
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(scaffold.format(left, right))
        if mol is not None:
            made[Chem.MolToSmiles(mol)] = None
        if len(made) == n:
            break
    return list(made)


def fill(engine: Engine, found: list[Structure]) -> None:
    """Put compounds into the database."""
    frame = pd.DataFrame(
        {
            "compound_id": stable_ids("compound", ((one.inchikey,) for one in found)),
            "inchikey": [one.inchikey for one in found],
            "parent_inchikey": [one.parent_inchikey for one in found],
            "skeleton": [one.skeleton for one in found],
            "name": [f"compound {number}" for number in range(len(found))],
            "smiles": [one.smiles for one in found],
            "parent_smiles": [one.parent_smiles for one in found],
            "fingerprint": [structure.bit_string(one.fingerprint) for one in found],
            "pattern_fingerprint": [structure.bit_string(one.pattern_fingerprint) for one in found],
        }
    )
    with engine.begin() as connection:
        copy_frame(connection, "core.compound", frame)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE core.compound"))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds a call takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def similarity(engine: Engine, found: list[Structure]) -> tuple[float, float]:
    """Median seconds of similar_compounds and of RDKit, one query after the other."""
    bits = [DataStructs.CreateFromBitString(structure.bit_string(one.fingerprint)) for one in found]
    ours, peer = [], []
    with engine.connect() as connection:
        connection.execute(text("SET max_parallel_workers_per_gather = 0"))
        for number in random.Random(2).sample(range(len(found)), N_QUERIES):
            key = {"key": found[number].inchikey, "k": K}
            query = text("SELECT inchikey, tanimoto FROM pbdb.similar_compounds(:key, :k)")
            seconds, rows = timed(lambda query=query, key=key: connection.execute(query, key).all())
            ours.append(seconds)
            seconds, expected = timed(lambda number=number: nearest(bits, number))
            peer.append(seconds)
            assert [round(row.tanimoto, 9) for row in rows] == [round(value, 9) for value in expected], "not exact"
    return statistics.median(ours[1:]), statistics.median(peer[1:])


def nearest(bits: list[Any], number: int) -> list[float]:
    """The K highest similarities to a fingerprint, itself left out."""
    values = DataStructs.BulkTanimotoSimilarity(bits[number], bits)
    del values[number]
    return sorted(values, reverse=True)[:K]


def substructure(database: Database, found: list[Structure]) -> Iterator[tuple[str, int, float, float]]:
    """Each pattern with its hits, our seconds and RDKit's."""
    for smarts in PATTERNS:
        ours, rows = timed(lambda smarts=smarts: compound_search.with_substructure(database, smarts))
        pattern = Chem.MolFromSmarts(smarts)
        peer, expected = timed(
            lambda pattern=pattern: [
                one.inchikey for one in found if Chem.MolFromSmiles(one.parent_smiles).HasSubstructMatch(pattern)
            ]
        )
        assert {row["inchikey"] for row in rows} == set(expected), smarts
        yield smarts, len(rows), ours, peer


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compounds", type=int, default=37_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pbdb-bench-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder) / "home", workers=os.cpu_count() or 1)
        try:
            measure(settings, args.compounds)
        finally:
            connect.stop(settings, immediately=True)


def measure(settings: Settings, n: int) -> None:
    """Measure on a database of n compounds."""
    engine = connect.engine(settings)
    schema.upgrade(engine)
    made = standardise_all(structures(n), settings.workers).values()
    found = list({one.inchikey: one for one in made if isinstance(one, Structure)}.values())
    fill(engine, found)
    ours, peer = similarity(engine, found)
    print(f"{len(found):,} compounds; {K} most similar: {ours * 1e3:.1f} ms, RDKit in memory {peer * 1e3:.1f} ms")
    patterns = list(substructure(Database(settings), found))
    for smarts, hits, mine, theirs in patterns:
        print(f"substructure {smarts}: {hits:,} hits, {mine * 1e3:.0f} ms, RDKit without screen {theirs * 1e3:.0f} ms")
    line = {
        "name": "compound_search",
        "ours": {"similar_ms": round(ours * 1e3, 2), "substructure_ms": [round(p[2] * 1e3) for p in patterns]},
        "peer": {"similar_ms": round(peer * 1e3, 2), "substructure_ms": [round(p[3] * 1e3) for p in patterns]},
        "peer_name": "RDKit, all compounds in memory, no screen",
        "ratio": round(sum(p[3] for p in patterns) / sum(p[2] for p in patterns), 1),
        "sizes": {"compounds": len(found), "k": K, "patterns": list(PATTERNS)},
    }
    lines.report(line)


if __name__ == "__main__":
    main()
