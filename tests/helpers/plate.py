"""A small made-up plate, its files, and the command that runs on them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from click.testing import CliRunner, Result
from scipy.io import mmwrite

from pbdb.cli import pbdb
from pbdb.common.errors import PbdbError


def sheet(compounds: tuple[str, ...] = ("Aspirin", "Torin 1"), wells: int = 3) -> pd.DataFrame:
    """Two plates, four vehicle wells on each, `wells` wells of each compound spread over them."""
    rows: list[tuple[str, float, str, bool]] = [("DMSO", 0.0, f"P{i % 2 + 1}", True) for i in range(8)]
    rows += [(c, 10.0, f"P{i % 2 + 1}", False) for c in compounds for i in range(wells)]
    table = pd.DataFrame(rows, columns=["compound", "dose_um", "plate", "is_control"])
    return table.assign(sample_id=[f"S{i:03d}" for i in range(len(table))], time_h=24.0)


def counts(samples: pd.DataFrame, genes: int = 60, seed: int = 1) -> pd.DataFrame:
    """Negative binomial counts, genes x samples; the first five genes rise eightfold in treated wells."""
    random = np.random.default_rng(seed)
    level = random.lognormal(5, 0.7, genes)[:, None] * random.lognormal(0, 0.2, len(samples))
    level[:5] *= np.where(samples.is_control, 1, 8)
    drawn = random.poisson(level * random.gamma(20, 1 / 20, level.shape))
    names = pd.Index([f"GENE{i:02d}" for i in range(genes)], name="gene")
    return pd.DataFrame(drawn, index=names, columns=samples.sample_id.to_list())


def intensities(samples: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Log2 intensities, genes x samples."""
    return np.log2(counts(samples, seed=seed) + 1.0)


def write(folder: Path, table: pd.DataFrame, samples: pd.DataFrame, form: str = "csv") -> list[str]:
    """Write matrix and sheet; return the options that name them."""
    samples.to_csv(folder / "samples.csv", index=False)
    path = {"10x": folder / "tenx"}.get(form, folder / f"matrix.{form}")
    WRITERS[form](table, path)
    return ["--matrix", str(path), "--samples", str(folder / "samples.csv"), "--out", str(folder / "out.parquet")]


def _write_h5ad(table: pd.DataFrame, path: Path, values: Any = None) -> None:
    obs, var = pd.DataFrame(index=table.columns), pd.DataFrame(index=table.index.to_list())
    matrix = sp.csr_matrix(table.to_numpy().T) if values is None else values
    anndata.AnnData(matrix, obs=obs, var=var).write_h5ad(path)


def _write_tenx(table: pd.DataFrame, folder: Path) -> None:
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", sp.coo_matrix(table.to_numpy()))
    (folder / "matrix.mtx.gz").write_bytes(gzip.compress((folder / "matrix.mtx").read_bytes()))
    (folder / "matrix.mtx").unlink()
    features = "".join(f"{gene}\tsymbol of {gene}\tGene Expression\n" for gene in table.index)
    (folder / "features.tsv.gz").write_bytes(gzip.compress(features.encode()))
    barcodes = "".join(f"{sample}\n" for sample in table.columns)
    (folder / "barcodes.tsv.gz").write_bytes(gzip.compress(barcodes.encode()))


WRITERS = {
    "csv": lambda table, path: table.to_csv(path),
    "csv.gz": lambda table, path: table.to_csv(path),
    "tsv": lambda table, path: table.to_csv(path, sep="\t"),
    "parquet": lambda table, path: table.to_parquet(path),
    "h5ad": _write_h5ad,
    "10x": _write_tenx,
}


def command(*options: str) -> Result:
    """Run `pbdb de run` with one thread."""
    return CliRunner().invoke(pbdb, ["de", "run", "--threads", "1", *options])


def run(folder: Path, table: pd.DataFrame, samples: pd.DataFrame, *options: str, form: str = "csv") -> pd.DataFrame:
    """Write the files, run the command and return what it wrote."""
    files = write(folder, table, samples, form)
    readout = () if "--readout" in options else ("--readout", "counts")
    result = command(*files, *readout, *options)
    if result.exception:
        raise result.exception
    return pd.read_parquet(folder / "out.parquet")


def report(folder: Path) -> dict[str, Any]:
    """The report beside the effects."""
    return dict(json.loads((folder / "out.report.json").read_text(encoding="utf-8")))


def refusal(folder: Path, table: pd.DataFrame, samples: pd.DataFrame, *options: str) -> str:
    """The sentence with which the command refuses; nothing may be left behind."""
    result = command(*write(folder, table, samples), *(options or ("--readout", "counts")))
    assert isinstance(result.exception, PbdbError), result.output
    assert not list(folder.glob("out*"))
    return str(result.exception)
