"""Matrices as counting programs write them: the same effects through `etl new`, `etl load` and `de run`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import plate
import pytest
from loads import query
from scipy.io import mmwrite
from scipy.sparse import coo_matrix

from pbdb.common.settings import Settings
from pbdb.effects import plate_run
from pbdb.identity.contexts.resolve import ContextVocabulary
from pbdb.loading import draft_source, pipeline
from pbdb.readers import gct, gctx
from pbdb.sources import registry

CELLS = ContextVocabulary(
    pd.DataFrame({"context": ["CVCL:0031"], "context_name": ["MCF-7"], "kind": ["cell_line"], "organism": ["human"]}),
    pd.DataFrame({"synonym": ["MCF7"], "context": ["CVCL:0031"]}),
)


def counts(samples: pd.DataFrame) -> pd.DataFrame:
    table = plate.counts(samples)
    return table.set_axis(pd.Index([f"ENSG{at:011d}" for at in range(900_000, 900_000 + len(table))], name="gene"))


def profiles(table: pd.DataFrame) -> gct.Profiles:
    samples, genes = pd.DataFrame(index=table.columns), pd.DataFrame(index=table.index)
    return gct.Profiles(table.to_numpy(np.float32).T, rows=genes, columns=samples)


def zipped(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def as_gctx(folder: Path, table: pd.DataFrame) -> Path:
    gctx.write(folder / "plates.gctx", profiles(table), None)
    return folder / "plates.gctx"


def as_h5ad(folder: Path, table: pd.DataFrame) -> Path:
    obs, var = pd.DataFrame(index=table.columns), pd.DataFrame(index=table.index.to_list())
    anndata.AnnData(table.to_numpy().T.astype(np.float32), obs, var).write_h5ad(folder / "plates.h5ad")
    return folder / "plates.h5ad"


def as_gct(folder: Path, table: pd.DataFrame) -> Path:
    gct.write(folder / "plates.gct", profiles(table), decimals=0)
    return folder / "plates.gct"


def as_starsolo(folder: Path, table: pd.DataFrame) -> Path:
    """Genes x barcodes; the third column says `Gene Expression` or, in some versions, `gene`."""
    home = folder / "raw"
    home.mkdir()
    mmwrite(home / "matrix.mtx", coo_matrix(table.to_numpy()))
    (home / "features.tsv").write_text("".join(f"{gene}\tS{gene}\tgene\n" for gene in table.index))
    (home / "barcodes.tsv").write_text("".join(f"{sample}\n" for sample in table.columns))
    return home


def as_kb(folder: Path, table: pd.DataFrame) -> Path:
    """Barcodes x genes."""
    home = folder / "counts_unfiltered"
    home.mkdir()
    mmwrite(home / "cells_x_genes.mtx", coo_matrix(table.to_numpy().T))
    (home / "cells_x_genes.genes.txt").write_text("".join(f"{gene}\n" for gene in table.index))
    (home / "cells_x_genes.barcodes.txt").write_text("".join(f"{sample}\n" for sample in table.columns))
    return home


def as_feature_counts(folder: Path, table: pd.DataFrame) -> Path:
    facts = {"Chr": "1;1", "Start": "5;9", "End": "7;20", "Strand": "+;+", "Length": 14}
    written = table.rename(columns="/data/{}.sorted.bam".format)
    for at, (name, value) in enumerate(facts.items()):
        written.insert(at, name, value)
    path = folder / "counts.txt"
    path.write_text('# Program:featureCounts v2.0.6; Command:"featureCounts" "-T" "8"\n')
    written.rename_axis("Geneid").to_csv(path, sep="\t", mode="a")
    return path


def as_htseq(folder: Path, table: pd.DataFrame) -> Path:
    special = ["__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique"]
    more = pd.DataFrame(5000, pd.Index(special, name="gene"), table.columns)
    pd.concat([table, more]).to_csv(folder / "merged.tsv", sep="\t")
    return folder / "merged.tsv"


def as_symbols_beside_ids(folder: Path, table: pd.DataFrame) -> Path:
    written = table.copy()
    written.insert(0, "gene_name", [f"S{gene}" for gene in table.index])
    pd.concat([written, written.sum(numeric_only=True).to_frame("Total").T]).rename_axis("gene_id").to_csv(
        folder / "salmon.tsv", sep="\t"
    )
    return folder / "salmon.tsv"


FORMS: dict[str, Callable[[Path, pd.DataFrame], Path]] = {
    "gctx": as_gctx,
    "gctx.gz": lambda folder, table: zipped(as_gctx(folder, table)),
    "h5ad.gz": lambda folder, table: zipped(as_h5ad(folder, table)),
    "gct.gz": lambda folder, table: zipped(as_gct(folder, table)),
    "STARsolo": as_starsolo,
    "kb-python": as_kb,
    "featureCounts": as_feature_counts,
    "htseq": as_htseq,
    "ids and symbols": as_symbols_beside_ids,
}


@pytest.mark.parametrize("form", FORMS)
def test_files_of_programs_go_through_every_door(tmp_path: Path, database: Settings, form: str) -> None:
    samples = plate.sheet()
    table = counts(samples)
    table.to_csv(tmp_path / "plain.csv")
    samples.assign(context="MCF7").to_csv(tmp_path / "samples.csv", index=False)
    matrix = FORMS[form](tmp_path, table)
    found = {}
    for path in (tmp_path / "plain.csv", matrix):
        plate_run.run(path, tmp_path / "samples.csv", tmp_path / "out.parquet")
        found[path] = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(found[matrix], found[tmp_path / "plain.csv"])
    written = draft_source.write(
        tmp_path / "screen.py", matrix, tmp_path / "samples.csv", technology="RNA-seq", cells=CELLS
    )
    assert written.blanks == {} and written.samples == len(samples)
    (outcome,) = pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
    assert outcome.effects == {"ok": 2}
    rows = query(database, "SELECT compound_name, gene_id, log2_fc FROM pbdb.condition_effect")
    loaded = pd.Series({(name, gene): value for name, gene, value in rows})
    ran = found[matrix].set_index(["compound", "gene"])["log2_fc"]
    assert len(loaded) == len(ran) == 2 * 60
    np.testing.assert_allclose(loaded.loc[ran.index], ran, rtol=1e-4, atol=1e-5)
