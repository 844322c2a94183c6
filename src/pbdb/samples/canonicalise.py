"""From raw profiles and a declaration to canonical samples: one AnnData file, with exact doses and reason codes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common import units
from pbdb.common.arrays import are_whole
from pbdb.common.errors import DataError
from pbdb.common.typed_cells import is_no_compound
from pbdb.identity.compounds.source_compounds import compound_keys
from pbdb.identity.genes.mapper import GeneMapper
from pbdb.identity.genes.resolve import GeneMap, gene_id_of
from pbdb.readers.profile_block import ProfileBlock
from pbdb.samples.matrix_file import Writer
from pbdb.samples.standard_obs import standard_obs
from pbdb.samples.transform_report import MOST_UNKNOWN, SHOWN, Report, check_gene_loss, with_one_spelling
from pbdb.sources.declaration import FEW_CELLS, Column, Constant, Files, Mapped, SampleColumns, Source


def transform(
    source: Source,
    dataset: str,
    files: Files,
    mapper: GeneMapper,
    path: Path,
    progress: Callable[[int], None] = lambda n_samples: None,
    *,
    most_unknown: float = MOST_UNKNOWN,
) -> tuple[pd.DataFrame, Report]:
    """Write the canonical matrix of a dataset and return its samples.

    mapper: how feature names become genes. most_unknown: share of features that may be no known gene.
    Memory is bounded by one block and the table, which has the columns of `canonical_samples`, its rows as the matrix.

    Raises:
        DataError: profiles, doses, times or cells that are not what the declaration says.
    """
    report, tables = Report(), []
    writer = Writer(path, dense=source.assay.readout == "log2_intensity")
    maps = _Maps(mapper, report)
    try:
        for block in _read(source, dataset, files):
            table = canonical_samples(source, _with_counts(source, block))
            _count(report, source, block, table)
            genes = maps.of(block.features)
            writer.add(genes.apply(block.matrix), genes.gene_keys, _fractions(block, genes))
            tables.append(table)
            progress(writer.n_rows)
        samples = with_one_spelling(_all(tables, source), compound_keys(source, files), report)
        samples = _with_few_cells(samples, source.datasets[dataset].min_cells)
        _need_genes(source, writer)
        check_gene_loss(source, report, most_unknown)
        _fill(report, samples, writer)
        facts = {"pbdb": json.dumps(report.as_dict())}
        writer.finish(standard_obs(source, dataset, samples), _var(writer, maps), facts)
    except BaseException:
        writer.abandon()
        raise
    return samples, report


def _count(report: Report, source: Source, block: ProfileBlock, table: pd.DataFrame) -> None:
    """Count what a block passed over, and treated samples whose dose is not molar or not there."""
    report.n_left_out += sum(block.left_out.values())
    report.n_cells += block.cells
    report.dropped.update({f"cell {reason}": n for reason, n in block.cells_left_out.items()})
    report.facts |= block.facts
    report.dropped.update({f"profile {reason}": n for reason, n in block.left_out.items()})
    for reason, n in block.features_left_out.items():  # files of a dataset leave out the same ones
        report.dropped[f"gene {reason}"] = max(n, report.dropped[f"gene {reason}"])
    doseless = table["has_condition"] & ~table["is_vehicle"] & table["dose_fm"].isna()
    if doseless.any():
        column = getattr(source.samples.dose, "unit_column", None)
        spelled = _text(source, block.samples, Column(column) if column else None)
        report.no_dose.update(spelled[doseless].fillna("none").tolist())


def _fractions(block: ProfileBlock, genes: GeneMap) -> sp.csr_matrix | None:
    """Fraction of a sample's cells expressing a gene; NaN where genes were summed, as their cells are not known."""
    if block.expressing is None:
        return None
    cells = genes.apply(block.expressing)
    n_cells = block.samples["n_cells"].to_numpy(dtype=np.float32)
    fractions = cells.data.astype(np.float32)
    fractions /= np.repeat(n_cells, np.diff(cells.indptr))
    summed = np.bincount(genes.target_index, minlength=len(genes.gene_keys)) > 1
    fractions[summed[cells.indices]] = np.nan
    return sp.csr_matrix((fractions, cells.indices, cells.indptr), cells.shape)


class _Maps:
    """Gene maps by feature list: plates of one platform share theirs."""

    def __init__(self, mapper: GeneMapper, report: Report):
        self._mapper, self._report = mapper, report
        self._known: dict[tuple[str, ...], GeneMap] = {}
        self._seen: set[str] = set()
        self.symbols = mapper.symbols
        self.merged: set[int] = set()

    def of(self, features: npt.NDArray[Any]) -> GeneMap:
        names = tuple(str(name) for name in features)
        if names not in self._known:
            self._known[names] = self._mapper.resolve(list(names))
            self._count(names, self._known[names])
        return self._known[names]

    def _count(self, names: Sequence[str], gene_map: GeneMap) -> None:
        """Count each feature once, on whichever plate it stands first."""
        sources = np.bincount(gene_map.target_index, minlength=len(gene_map.gene_keys))
        self.merged.update(gene_map.gene_keys[sources > 1].tolist())
        if not self._seen:
            self._add(gene_map)
        elif new := [name for name in names if name not in self._seen]:
            self._add(self._mapper.resolve(new))
        self._seen.update(names)

    def _add(self, gene_map: GeneMap) -> None:
        self._report.genes.update(gene_map.counts)
        self._report.dropped.update(f"gene {reason}" for reason in gene_map.dropped["reason"])
        unknown = gene_map.dropped["source"][gene_map.dropped["reason"] == "unknown"]
        self._report.unknown_genes += [str(name) for name in unknown[:SHOWN]]


def _read(source: Source, dataset: str, files: Files) -> Iterator[ProfileBlock]:
    for block in source.blocks(files, dataset):
        if block.matrix.shape != (len(block.samples), len(block.features)):
            raise DataError(
                f"Source '{source.key}': a block has {len(block.samples)} samples and {len(block.features)} features, "
                f"but a matrix of {block.matrix.shape[0]} x {block.matrix.shape[1]}.",
                value=source.key,
            )
        yield block


def _with_counts(source: Source, block: ProfileBlock) -> pd.DataFrame:
    """Add n_counts, the sum of each profile as published, before genes are mapped."""
    if source.assay.readout == "log2_intensity":
        return block.samples.assign(n_counts=pd.array([pd.NA] * len(block.samples), dtype="Int64"))
    values: npt.NDArray[Any] = np.asarray(block.matrix.data if sp.issparse(block.matrix) else block.matrix)
    if not are_whole(values):
        what = "fractional" if np.isfinite(values).all() else "missing: give 0 where nothing was counted"
        what = "negative" if (values < 0).any() else what
        raise DataError(f"Source '{source.key}': some counts are {what}; raw counts are needed.", value=source.key)
    return block.samples.assign(n_counts=np.asarray(block.matrix.sum(axis=1)).ravel().astype(np.int64))


def canonical_samples(source: Source, raw: pd.DataFrame) -> pd.DataFrame:
    """Map raw columns to canonical ones.

    Columns: source_sample, plate, well, compound, dose_fm (Int64), time_h, context, stratum, n_cells, n_counts
    (Int64), is_vehicle, has_condition, in_fit, flags (lists), attributes (dicts).

    Raises:
        DataError: a column is missing, or a value is of an unknown unit, not a number, or not listed.
    """
    rules = source.samples
    vehicle = _rule(source, raw, rules.vehicle, "vehicle")
    flags = {flag.code: _rule(source, raw, flag.rule, flag.code) for flag in source.flags}
    excluded = pd.Series(False, index=raw.index)
    for flag in source.flags:
        excluded |= flags[flag.code] & (not flag.has_condition)
    table = pd.DataFrame(index=raw.index)
    table["source_sample"] = _text(source, raw, rules.sample)
    table["plate"] = _text(source, raw, rules.plate)
    table["well"] = _text(source, raw, rules.well)
    compounds = _text(source, raw, rules.compound)
    table["compound"] = compounds.where(~compounds.map(lambda name: name is None or is_no_compound(name)), None)
    table["dose_fm"] = _doses(source, raw, rules).mask(vehicle, 0)
    table["time_h"] = _times(source, raw, rules)
    table["context"] = _contexts(source, raw, rules)
    table["stratum"] = _text(source, raw, rules.stratum)
    table["n_cells"] = _integers(source, raw, rules.n_cells)
    table["n_counts"] = raw["n_counts"].astype("Int64")
    table["is_vehicle"] = vehicle
    table["has_condition"] = table["compound"].notna() & ~excluded
    table["flags"] = _codes(flags, raw.index)
    table["in_fit"] = table["has_condition"] & ~table["flags"].astype(bool)
    table["attributes"] = pd.Series(_attributes(source, raw), index=raw.index, dtype=object)
    return table


def _rule(source: Source, raw: pd.DataFrame, rule: str, what: str) -> pd.Series[bool]:
    try:
        marks = pd.Series(raw.eval(rule, engine="python"), index=raw.index).astype("boolean")
    except Exception as problem:
        raise DataError(
            f"Source '{source.key}': the rule of '{what}' ({rule}) fails: {problem}.", value=source.key
        ) from problem
    return marks.fillna(False).astype(bool)


def _codes(flags: Mapping[str, pd.Series[bool]], index: pd.Index[Any]) -> pd.Series[Any]:
    """The codes of each sample, as lists."""
    marked = zip(*flags.values(), strict=True) if flags else [()] * len(index)
    codes = [[code for code, is_marked in zip(flags, row, strict=True) if is_marked] for row in marked]
    return pd.Series(codes, index=index, dtype=object)


def _column(source: Source, raw: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name not in raw.columns:
        raise DataError(
            f"Source '{source.key}': the samples have no column '{name}'; they have {list(raw.columns)}.", column=name
        )
    return raw[name]


def _text(source: Source, raw: pd.DataFrame, mapped: Mapped | None) -> pd.Series[Any]:
    if mapped is None:
        return pd.Series(None, index=raw.index, dtype=object)
    if isinstance(mapped, Constant):
        return pd.Series(str(mapped.value), index=raw.index, dtype=object)
    column = _column(source, raw, mapped.name)
    text = column.astype(str).str.strip().astype(object)
    text = text.where(column.notna() & (text != ""), None)
    return text if mapped.values is None else _translated(source, text, mapped.name, mapped.values)


def _translated(source: Source, text: pd.Series[Any], name: str, values: Mapping[str, str]) -> pd.Series[Any]:
    unknown = sorted({value for value in text.dropna() if value not in values})
    if unknown:
        raise DataError(
            f"Source '{source.key}': column '{name}' has the unknown value '{unknown[0]}'.",
            column=name,
            value=unknown[0],
        )
    return text.map(lambda value: values.get(value) if value is not None else None)


def _doses(source: Source, raw: pd.DataFrame, rules: SampleColumns) -> pd.Series[Any]:
    def convert(value: str, unit: str) -> int | None:
        if {unit, units.molar_unit(unit)} & set(rules.non_molar_units):
            return None
        return units.dose_fm(value, unit)

    return _quantities(source, raw, rules.dose, "uM", convert).astype("Int64")


def _times(source: Source, raw: pd.DataFrame, rules: SampleColumns) -> pd.Series[Any]:
    return _quantities(source, raw, rules.time, "h", units.hours).astype("Float64")


def _quantities(
    source: Source, raw: pd.DataFrame, mapped: Mapped, unit: str, convert: Callable[[str, str], Any]
) -> pd.Series[Any]:
    """Convert a column of numbers with units; each distinct pair of text and unit is converted once."""
    if isinstance(mapped, Constant):
        return pd.Series(convert(str(mapped.value), unit), index=raw.index)
    values = _text(source, raw, Column(mapped.name))
    spelled = (
        _text(source, raw, Column(mapped.unit_column))
        if mapped.unit_column is not None
        else pd.Series(mapped.unit or unit, index=raw.index, dtype=object)
    )
    known: dict[tuple[str, str], Any] = {}
    for pair in dict.fromkeys(zip(values, spelled, strict=True)):
        if pair[0] is not None:
            known[pair] = _converted(source, mapped.name, pair, convert)
    converted = [known.get(pair) for pair in zip(values, spelled, strict=True)]
    return pd.Series(converted, index=raw.index, dtype=object)


def _converted(source: Source, name: str, pair: tuple[str, str | None], convert: Callable[[str, str], Any]) -> Any:
    if pair[1] is None:
        raise DataError(
            f"Source '{source.key}': column '{name}' has the value '{pair[0]}' without a unit.",
            column=name,
            value=pair[0],
        )
    try:
        return convert(pair[0], pair[1])
    except DataError as problem:
        raise DataError(f"Source '{source.key}', column '{name}': {problem}", column=name) from None


def _contexts(source: Source, raw: pd.DataFrame, rules: SampleColumns) -> pd.Series[Any]:
    names = _text(source, raw, rules.context)
    if names.isna().any():
        samples = _text(source, raw, rules.sample)[names.isna()]
        raise DataError(
            f"Source '{source.key}': sample '{samples.iloc[0]}' has no cells ({len(samples)} such): fill them in."
        )
    unknown = sorted({str(name) for name in names.unique() if name not in source.contexts})
    if unknown:
        raise DataError(
            f"Source '{source.key}': the cells '{unknown[0]}' are not declared ({len(unknown)} such names); "
            "add them to `contexts` in the source's file.",
            value=unknown[0],
        )
    return names.map({name: cells.context for name, cells in source.contexts.items()})


def _integers(source: Source, raw: pd.DataFrame, mapped: Mapped | None) -> pd.Series[Any]:
    text = _text(source, raw, mapped)
    try:
        return pd.to_numeric(text).astype("Int64")
    except (ValueError, TypeError) as problem:
        raise DataError(
            f"Source '{source.key}': a number of cells is not a whole number ({problem}).", value=source.key
        ) from None


def _attributes(source: Source, raw: pd.DataFrame) -> list[dict[str, object]]:
    names = list(source.samples.attributes)
    columns = [_column(source, raw, name).astype(object) for name in names]
    rows = zip(*columns, strict=True) if names else [()] * len(raw)
    return [{name: value for name, value in zip(names, row, strict=True) if not pd.isna(value)} for row in rows]


def _all(tables: list[pd.DataFrame], source: Source) -> pd.DataFrame:
    if not any(map(len, tables)):
        raise DataError(f"Source '{source.key}': its files hold no samples.", value=source.key)
    return pd.concat(tables, ignore_index=True)


def _with_few_cells(samples: pd.DataFrame, min_cells: int) -> pd.DataFrame:
    """Flag conditions' samples of fewer cells than the default fit asks for; another fit may still take them."""
    if not min_cells:
        return samples
    is_few = (samples["has_condition"] & (samples["n_cells"] < min_cells)).fillna(False).astype(bool)
    flags = [[*old, FEW_CELLS] if few else old for old, few in zip(samples["flags"], is_few, strict=True)]
    return samples.assign(flags=pd.Series(flags, index=samples.index, dtype=object), in_fit=samples["in_fit"] & ~is_few)


def _need_genes(source: Source, writer: Writer) -> None:
    if not len(writer.gene_keys):
        raise DataError(
            f"Source '{source.key}': none of its features is a known gene: see with `pbdb vocab status` whether the "
            "gene vocabulary is the right one.",
            value=source.key,
        )


def _fill(report: Report, samples: pd.DataFrame, writer: Writer) -> None:
    report.n_samples = len(samples)
    report.n_in_fit = int(samples["in_fit"].sum())
    report.n_genes = len(writer.gene_keys)
    report.flags = Counter(code for flags in samples["flags"] for code in flags)


def _var(writer: Writer, maps: _Maps) -> pd.DataFrame:
    keys = writer.gene_keys.tolist()
    columns = {
        "gene_key": writer.gene_keys,
        "symbol": pd.Series([maps.symbols.get(key) for key in keys], dtype=object).astype("category").array,
        "is_merged": [key in maps.merged for key in keys],
    }
    return pd.DataFrame(columns, index=pd.Index([gene_id_of(key) for key in keys], name="ensembl_id"))
