"""Read what is published about genes: Ensembl, HGNC, the L1000 panel and tables derived from them.

Each form becomes a GenePart of plain frames; `pbdb.identity.genes.build_vocabulary` merges parts into one vocabulary.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pbdb.common.errors import VocabularyError
from pbdb.common.typed_cells import is_missing, plain
from pbdb.identity import published_form
from pbdb.identity.genes.spreadsheet_dates import day_numbers
from pbdb.readers.text import head, headings, need_columns, open_text, read_table

GENE_COLUMNS = ("gene_id", "symbol", "name", "biotype", "chromosome", "entrez_id", "hgnc_id")
RETIRED_COLUMNS = ("retired_id", "gene_id")
SYNONYM_COLUMNS = ("synonym", "gene_id", "kind")
PANEL_COLUMNS = ("entrez_id", "symbol", "is_landmark")
DEFINING_KINDS = frozenset({"ensembl_gtf", "ensembl_mysql", "biomart", "catalogue"})

_HGNC_IN_DESCRIPTION = re.compile(r"Acc:(HGNC:\d+)")
_SOURCE_IN_DESCRIPTION = re.compile(r"\s*\[Source:.*$")
_GTF_ATTRIBUTE = re.compile(r'(gene_id|gene_name|gene_biotype|gene_type|hgnc_id) "([^"]*)"')
_BIOMART_NAMES = {
    "gene_id": ("genestableid", "ensemblgeneid", "ensemblid", "geneid", "genestableidversion"),
    "symbol": ("genename", "externalgenename", "genesymbol", "symbol", "hgncsymbol", "mgisymbol", "rgdsymbol"),
    "description": ("genedescription", "description"),
    "biotype": ("genetype", "genebiotype", "biotype"),
    "chromosome": ("chromosomescaffoldname", "chromosomename"),
    "entrez_id": ("ncbigeneformerlyentrezgeneid", "ncbigeneid", "entrezgeneid"),
    "hgnc_id": ("hgncid",),
    "synonym": ("genesynonym", "externalsynonym"),
}
"""Headings of tables of ids and symbols as BioMart and others write them, as `plain` spells them, best first."""


def _no(columns: Iterable[str]) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame({c: pd.Series(dtype=object) for c in columns})


@dataclass(frozen=True)
class GenePart:
    """What one published file says about genes.

    genes: gene_id, symbol, name, biotype, chromosome, entrez_id (Int64), hgnc_id; text is None where not said.
    retired: retired_id, gene_id of a successor (which may be retired too) or None; one row per pair.
    synonyms: synonym, gene_id, kind: `official` (is or was the approved symbol) or `alias`.
    panel: entrez_id, symbol, is_landmark of the L1000 panel in the order of its file.
    """

    kind: str
    release: str | None = None
    genes: pd.DataFrame = field(default_factory=_no(GENE_COLUMNS))
    retired: pd.DataFrame = field(default_factory=_no(RETIRED_COLUMNS))
    synonyms: pd.DataFrame = field(default_factory=_no(SYNONYM_COLUMNS))
    panel: pd.DataFrame = field(default_factory=_no(PANEL_COLUMNS))

    @property
    def defines_genes(self) -> bool:
        """Whether its genes are those of a release, not additions to one."""
        return self.kind in DEFINING_KINDS


def read_genes(path: Path | str, kind: str | None = None) -> GenePart:
    """Read one published form, recognised by its content when `kind` is None.

    Raises:
        VocabularyError: the form is unknown, or the file is damaged or lacks a column.
    """
    path = Path(path)
    what = "gene table, e.g. an Ensembl GTF or a table with the headings 'Gene stable ID' and 'Gene name'"
    part = published_form.read(path, kind, _READERS, _recognise, what)
    _refuse_dates(path, part)
    return part


def _refuse_dates(path: Path, part: GenePart) -> None:
    """Refuse a table in which a spreadsheet made dates of symbols: nobody would find these genes by their names."""
    symbols = part.genes["symbol"].dropna().tolist()
    dated = next((symbol for symbol, dates in zip(symbols, day_numbers(symbols), strict=True) if dates), None)
    if dated is not None:
        raise VocabularyError(
            f"'{dated}' is no symbol but a date: a spreadsheet saved {path.name}; export it again.",
            file=path.name,
            value=dated,
        )


def _recognise(path: Path) -> str | None:
    if path.is_dir() or re.match(r"(gene|stable_id_event|gene_archive)\.txt", path.name):
        return "ensembl_mysql"
    with path.open("rb") as start:
        if start.read(4) == b"PAR1":
            return "catalogue"
    return _recognise_text(head(path)) or _recognise_text(headings(path))


def _recognise_text(start: str) -> str | None:
    first = start.split("\n", 1)[0].lower()
    columns = set(first.strip().split("\t"))
    if {"hgnc_id", "symbol", "prev_symbol"} <= columns:
        return "hgnc"
    if {"pr_gene_id", "pr_gene_symbol", "pr_is_lm"} <= columns:
        return "l1000"
    plain_columns = set(map(plain, columns))
    if plain_columns & set(_BIOMART_NAMES["gene_id"]) and (
        plain_columns & set(_BIOMART_NAMES["symbol"]) or "gene stable id" in columns
    ):
        return "biomart"
    if re.search(r'\tgene\t.*gene_id "', start):
        return "ensembl_gtf"
    return "retired_ids" if re.match(r'\s*\{\s*"ENS[A-Z]*G\d', start) else None


# --- tables that define the genes of a release ---------------------------------------------------------------


def _read_gtf(path: Path) -> GenePart:
    with open_text(path) as lines:
        rows = [_gtf_gene(line) for line in lines if "\tgene\t" in line]
    genes = pd.DataFrame(rows)
    if genes.empty:
        raise VocabularyError(f"{path.name} has no line of type gene: give the full annotation.", file=path.name)
    genes = genes.rename(columns={"gene_name": "symbol"}).drop_duplicates("gene_id")
    release = re.search(r"\.(\d{2,3})\.(?:chr\w*\.)?gtf", path.name)
    return GenePart("ensembl_gtf", f"Ensembl {release[1]}" if release else None, gene_frame(genes))


def _gtf_gene(line: str) -> dict[str, str]:
    chromosome, _, rest = line.partition("\t")
    attributes = dict(_GTF_ATTRIBUTE.findall(rest))
    attributes["gene_id"] = attributes["gene_id"].partition(".")[0]
    attributes["chromosome"] = chromosome.removeprefix("chr")
    attributes["biotype"] = attributes.pop("gene_biotype", None) or attributes.pop("gene_type", "")
    return attributes


def _read_biomart(path: Path) -> GenePart:
    written = read_table(path)
    headings_of = {plain(name): name for name in reversed(written.columns)}
    best = {
        part: next((headings_of[n] for n in names if n in headings_of), None) for part, names in _BIOMART_NAMES.items()
    }
    table = pd.DataFrame({part: written[name] for part, name in best.items() if name is not None})
    need_columns(path, table, ("gene_id", "symbol"))
    table["gene_id"] = table["gene_id"].str.replace(r"\.\d+(_PAR_Y)?$", "", regex=True)
    if "hgnc_id" not in table and "description" in table:
        table["hgnc_id"] = table["description"].str.extract(_HGNC_IN_DESCRIPTION, expand=False)
    if "description" in table:
        table["name"] = table["description"].str.replace(_SOURCE_IN_DESCRIPTION, "", regex=True)
    synonyms = synonym_frame(table, "synonym", "alias") if "synonym" in table else _no(SYNONYM_COLUMNS)()
    return GenePart("biomart", None, gene_frame(table.drop_duplicates("gene_id")), synonyms=synonyms)


def _read_catalogue(path: Path) -> GenePart:
    table = pq.read_table(path).to_pandas()
    need_columns(path, table, ("ensembl_gene_id", "symbol", "synonyms", "biotype", "description"))
    table = table.rename(columns={"ensembl_gene_id": "gene_id"})
    table = table[table["biotype"] != "control"].copy()  # one row stands for "no gene perturbed"
    table["hgnc_id"] = table["description"].str.extract(_HGNC_IN_DESCRIPTION, expand=False)
    table["name"] = table["description"].str.replace(_SOURCE_IN_DESCRIPTION, "", regex=True)
    made = pd.to_datetime(table["created_at"]).max().date() if "created_at" in table else None
    genes = gene_frame(table.drop_duplicates("gene_id"))
    synonyms = synonym_frame(table, "synonyms", "alias")
    return GenePart("catalogue", f"catalogue {made}" if made else None, genes, synonyms=synonyms)


# --- Ensembl's MySQL dumps: tab-separated, no header, \N for null --------------------------------------------


def _read_mysql(path: Path) -> GenePart:
    """Read a folder of dumped tables (gene, xref, and where there: seq_region, external_synonym, retired ids)."""
    if path.is_file() and not path.name.startswith("gene.txt"):
        return GenePart("retired_ids", retired=_retired_tables([path]))
    folder = path if path.is_dir() else path.parent
    genes = _mysql_genes(folder)
    genes["symbol"], synonyms = _mysql_symbols(folder, genes)
    regions = _dump(folder, "seq_region")
    if regions is not None:
        names = pd.concat(_chunks(regions, [0, 1])).set_index(0)[1]
        genes["chromosome"] = genes["region"].map(names)
    release = re.search(r"core_(\d+)_", folder.resolve().name)
    dumps = [d for d in (_dump(folder, "stable_id_event"), _dump(folder, "gene_archive")) if d]
    return GenePart(
        "ensembl_mysql",
        f"Ensembl {release[1]}" if release else None,
        gene_frame(genes),
        _retired_tables(dumps),
        synonyms,
    )


def _mysql_genes(folder: Path) -> pd.DataFrame:
    table = pd.concat(_chunks(_needed_dump(folder, "gene"), None))
    if table.shape[1] < 14:
        raise VocabularyError(
            f"gene.txt in {folder} has {table.shape[1]} columns: give a core schema of release 65 or later.",
            file="gene.txt",
        )
    shift = table.shape[1] - 16  # schemas before release 90 carry one more column, status, before the description
    description = table[9 + shift].replace("N", None)
    return pd.DataFrame(
        {
            "gene_id": table[12 + shift],
            "biotype": table[1],
            "region": table[3],
            "xref": table[7],
            "name": description.str.replace(_SOURCE_IN_DESCRIPTION, "", regex=True),
            "hgnc_id": description.str.extract(_HGNC_IN_DESCRIPTION, expand=False),
        }
    ).drop_duplicates("gene_id")


def _mysql_symbols(folder: Path, genes: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    wanted = set(genes["xref"].dropna())
    chunks = _chunks(_needed_dump(folder, "xref"), [0, 3])  # millions of rows, of which few are gene symbols
    labels = pd.concat([c[c[0].isin(wanted)] for c in chunks]).set_index(0)[3]
    symbols = genes["xref"].map(labels)
    path = _dump(folder, "external_synonym")
    if path is None:
        return symbols, _no(SYNONYM_COLUMNS)()
    pairs = pd.concat([c[c[0].isin(wanted)] for c in _chunks(path, [0, 1])])
    pairs = pairs.merge(genes[["xref", "gene_id"]], left_on=0, right_on="xref")
    return symbols, synonym_frame(pairs, 1, "alias")


def _retired_tables(paths: list[Path]) -> pd.DataFrame:
    frames = [_no(RETIRED_COLUMNS)()]
    for path in paths:
        if path.name.startswith("stable_id_event"):
            # old id, its version, new id, its version, mapping session, type, score
            frames += [_pairs(c[c[5] == "gene"], 0, 2) for c in _chunks(path, [0, 2, 5])]
        else:  # gene_archive: ids that once were, whatever became of them
            frames += [_pairs(c.assign(none=None), 0, "none") for c in _chunks(path, [0])]
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)


def _pairs(table: pd.DataFrame, old: Any, new: Any) -> pd.DataFrame:
    pairs = pd.DataFrame({"retired_id": table[old], "gene_id": table[new].replace("N", None)}, dtype=object)
    return pairs[(pairs["retired_id"] != "N") & (pairs["retired_id"] != pairs["gene_id"])].drop_duplicates()


def _chunks(path: Path, columns: list[int] | None) -> Iterable[pd.DataFrame]:
    with open_text(path) as text:
        yield from pd.read_csv(
            text,
            sep="\t",
            header=None,
            usecols=columns,
            dtype=str,
            quoting=csv.QUOTE_NONE,
            escapechar="\\",  # so a null, \N, arrives as N
            keep_default_na=False,
            chunksize=500_000,
        )


def _dump(folder: Path, table: str) -> Path | None:
    return next((p for n in (".txt", ".txt.gz") if (p := folder / f"{table}{n}").exists()), None)


def _needed_dump(folder: Path, table: str) -> Path:
    path = _dump(folder, table)
    if path is None:
        raise VocabularyError(
            f"{folder} has no {table}.txt.gz: put Ensembl's tables gene and xref side by side.", file=f"{table}.txt.gz"
        )
    return path


# --- tables that add to the genes of a release ---------------------------------------------------------------


def _read_hgnc(path: Path) -> GenePart:
    needed = ("hgnc_id", "symbol", "name", "ensembl_gene_id", "entrez_id", "prev_symbol", "alias_symbol")
    table = read_table(path, needed).rename(columns={"ensembl_gene_id": "gene_id"})
    table = table[table["gene_id"] != ""]
    current = table.assign(current=table["symbol"])
    synonyms = pd.concat(
        [
            synonym_frame(current, "current", "official"),
            synonym_frame(table, "prev_symbol", "official"),
            synonym_frame(table, "alias_symbol", "alias"),
        ],
        ignore_index=True,
    )
    return GenePart("hgnc", None, gene_frame(table.drop_duplicates("gene_id")), synonyms=synonyms)


def _read_retired(path: Path) -> GenePart:
    with open_text(path) as text:
        mapping = json.load(text)
    if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
        raise VocabularyError(f"{path.name} is not an object of retired id: current id.", file=path.name)
    retired = pd.DataFrame({"retired_id": list(mapping), "gene_id": list(mapping.values())}, dtype=object)
    return GenePart("retired_ids", retired=retired)


def _read_l1000(path: Path) -> GenePart:
    table = read_table(path, ("pr_gene_id", "pr_gene_symbol", "pr_is_lm"))
    panel = pd.DataFrame(
        {
            "entrez_id": pd.to_numeric(table["pr_gene_id"]).astype("Int64"),
            "symbol": table["pr_gene_symbol"],
            "is_landmark": table["pr_is_lm"] == "1",
        }
    )
    return GenePart("l1000", panel=panel)


_READERS: dict[str, Callable[[Path], GenePart]] = {
    "ensembl_gtf": _read_gtf,
    "ensembl_mysql": _read_mysql,
    "biomart": _read_biomart,
    "catalogue": _read_catalogue,
    "hgnc": _read_hgnc,
    "retired_ids": _read_retired,
    "l1000": _read_l1000,
}


# --- frames --------------------------------------------------------------------------------------------------


def gene_frame(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table exactly GENE_COLUMNS: text with None for empty, entrez_id Int64."""
    frame = table.reindex(columns=list(GENE_COLUMNS)).reset_index(drop=True)
    entrez = pd.to_numeric(frame["entrez_id"].replace("", None), errors="coerce").astype("Int64")
    frame = frame.astype(object).where(frame.notna() & (frame != ""), None)
    frame["symbol"] = frame["symbol"].map(lambda name: None if name is None or is_missing(name) else name)
    frame["entrez_id"] = entrez
    return frame


def synonym_frame(table: pd.DataFrame, column: Any, kind: str) -> pd.DataFrame:
    """Split a column of synonyms joined by `|` into rows of SYNONYM_COLUMNS."""
    pairs = pd.DataFrame({"synonym": table[column], "gene_id": table["gene_id"]}).dropna()
    pairs["synonym"] = pairs["synonym"].str.strip('"').str.split("|")
    pairs = pairs.explode("synonym")
    pairs["synonym"] = pairs["synonym"].str.strip()
    return pairs[pairs["synonym"] != ""].assign(kind=kind).drop_duplicates(ignore_index=True)
