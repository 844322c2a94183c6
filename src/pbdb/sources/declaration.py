"""The vocabulary of etl/: how one published data set family is declared.

A source is a declaration: its files, how raw columns become canonical ones, which wells are vehicle, which are
flagged, and the terms of use. What cannot be declared stands in one function of the same file, `blocks`, which
turns the files into blocks of raw profiles; everything after that is shared by all sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pbdb.common.errors import SourceError
from pbdb.readers.profile_block import ProfileBlock
from pbdb.sources import old_names
from pbdb.sources.pseudobulk_declaration import EVERY_CELL as EVERY_CELL  # noqa: PLC0414
from pbdb.sources.pseudobulk_declaration import CellFilter as CellFilter  # noqa: PLC0414
from pbdb.sources.pseudobulk_declaration import Pseudobulk as Pseudobulk  # noqa: PLC0414

if TYPE_CHECKING:
    import pandas as pd

Readout = Literal["counts", "log2_intensity"]
Access = Literal["open", "token", "gated", "on_request"]
Method = Literal["voom", "trend"]
FEW_CELLS = "few_cells"
"""Flag of pseudobulk samples that have fewer cells than the default fit of their dataset asks for."""
DEFAULT_METHOD: dict[Readout, Method] = {"counts": "voom", "log2_intensity": "trend"}


@dataclass(frozen=True)
class Column:
    """A raw column: its name, its unit, or the column that holds the unit; text maps through `values`."""

    name: str
    unit: str | None = None
    unit_column: str | None = None
    values: Mapping[str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it reads."""
        return (self.name,) if self.unit_column is None else (self.name, self.unit_column)


@dataclass(frozen=True)
class Constant:
    """A value that is the same for every sample; a number is already in the canonical unit."""

    value: str | float

    @property
    def columns(self) -> tuple[str, ...]:
        """No raw columns."""
        return ()


Mapped = Column | Constant
FILL_IN: Any = "FILL_IN"  # a blank of a declaration; a file that has one is refused, by the line it stands in


def col(
    name: str,
    *,
    unit: str | None = None,
    unit_column: str | None = None,
    values: Mapping[str, str] | None = None,
) -> Column:
    """Map a raw column.

    unit: unit of every value ("uM", "nM", "h", "min"); unit_column: raw column that holds the unit of each value.
    values: the raw texts and what each becomes; a text that is not listed stops the load.
    """
    return Column(name, unit, unit_column, values)


def const(value: str | float) -> Constant:
    """Give one value to every sample; doses in uM, times in hours."""
    return Constant(value)


@old_names.keyword("cells", "pseudobulk")
@dataclass(frozen=True)
class File:
    """One file of a release.

    name: file name in the release (and in the folder of --from); url: where it is fetched from; None where a
    person has to get it. read: a function of pbdb.readers, from path to table or matrix. sha256: of the published
    file, where it is known; else the first download is recorded and checked from then on. columns: columns a
    table must have; ignored: columns it may have that nothing uses. Any other column stops the load, unless
    others_allowed (the provider documents the columns in part), then it is reported. set: files of one set come
    together or not at all. datasets: the datasets that need it, all when empty. optional: a folder of --from may
    lack it. unpack: the file is gzip of something that must be read at random; it may lie there unpacked.
    pseudobulk: the file holds single cells; how they are pooled to samples.
    """

    name: str
    read: Callable[[Path], Any]
    url: str | None = None
    sha256: str | None = None
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    others_allowed: bool = False
    set: str | None = None
    datasets: tuple[str, ...] = ()
    optional: bool = False
    unpack: bool = False
    pseudobulk: Pseudobulk | None = None

    @property
    def unpacked(self) -> str:
        """Its name without .gz."""
        return self.name.removesuffix(".gz")


@dataclass(frozen=True)
class Assay:
    """Technology and readout of a source."""

    technology: str
    readout: Readout


@dataclass(frozen=True)
class Dataset:
    """One harmonised data set of a source, with its terms of use.

    A dataset is not redistributable until its declaration says so. get: how a person gets the files where no
    address can be fetched. token: the environment variable that holds the user's token of the provider; it is sent
    where files are fetched, and shown nowhere. technology: where it is not that of the whole source. min_cells:
    pseudobulk samples of fewer cells stay out of the fit.
    """

    release: str
    license: str
    citation: str
    doi: str | None = None
    access: Access = "open"
    is_redistributable: bool = False
    is_non_commercial: bool = False
    overlap_group: str | None = None
    is_primary: bool = True
    min_cells: int = 0
    get: str | None = None
    token: str | None = None
    technology: str | None = None


@dataclass(frozen=True)
class Context:
    """A context as a source's sheet states it; what is None comes from the vocabulary, where one is imported."""

    context: str
    name: str
    kind: Literal["cell_line", "primary_cell", "unknown"] = "cell_line"
    tissue: str | None = None
    disease: str | None = None
    sex: str | None = None
    development_stage: str | None = None
    ethnicity: str | None = None
    donor: str | None = None
    parent_context: str | None = None
    organism: str = "human"


@dataclass(frozen=True)
class SampleColumns:
    """How raw columns become canonical ones; one keyword per canonical column.

    vehicle and the rules of flags are expressions over the raw columns and `n_counts`, as pandas evaluates them.
    sample must be unique in a dataset. compound: the source's own key of the compound; null for wells without.
    attributes: raw columns kept as they are; condition_attributes: those of them that describe the condition, too. dose
    and time without a value are null; so is a dose in one of non_molar_units, which is counted.
    """

    sample: Mapped
    plate: Mapped
    compound: Mapped
    dose: Mapped
    time: Mapped
    context: Mapped
    vehicle: str
    well: Mapped | None = None
    stratum: Mapped | None = None
    n_cells: Mapped | None = None
    attributes: tuple[str, ...] = ()
    condition_attributes: tuple[str, ...] = ()
    non_molar_units: tuple[str, ...] = ()
    suspension_type: Literal["cell", "nucleus"] = "cell"


@dataclass(frozen=True)
class Flag:
    """Samples that stay out of the fit: a reason code and the rule that finds them.

    has_condition is False where such a sample is no condition of the dataset either (blanks, reference compounds).
    """

    code: str
    rule: str
    has_condition: bool = True


@dataclass(frozen=True)
class CompoundColumns:
    """The compound table of a source: raw columns by canonical name.

    table: key in `files`, or a function of the files that makes the table. annotations: raw column -> kind.
    separator splits one cell into several annotations.
    """

    table: str | Callable[[Files], pd.DataFrame]
    key: str
    name: str | None = None
    smiles: str | None = None
    inchikey: str | None = None
    pubchem_cid: str | None = None
    cas: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None


@dataclass(frozen=True)
class Features:
    """What the features of a block are called: Ensembl or Entrez ids, symbols, or probes of a platform.

    table: for probes, a function of the files that gives the columns `probe` and `gene_id`, a row for each pair.
    drop_sharing: a probe that shares a gene with a probe of several genes is dropped too. aliases: the source's own
    symbols, each with its Ensembl id. A feature that is no known gene is dropped and counted.
    """

    names: Literal["gene_id", "entrez", "symbol", "probe"]
    table: Callable[[Files], pd.DataFrame] | None = None
    drop_sharing: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)


class Files:
    """The files of one load, read on demand: `files["name"]` reads, `files.path("name")` does not.

    A file of single cells is read as blocks of samples: `pooled` makes them. unlisted: columns that a table has and
    its declaration does not name, by file, where those are allowed.
    """

    def __init__(
        self,
        declared: Mapping[str, File],
        paths: Mapping[str, Path],
        pooled: Callable[[Files, str], Iterator[ProfileBlock]] | None = None,
    ):
        self._declared = declared
        self._paths = paths
        self._pooled = pooled
        self.unlisted: dict[str, list[str]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._paths

    def __getitem__(self, key: str) -> Any:
        """Read a file through its declared reader; a table must have the declared columns."""
        file = self._declared[key]
        if file.pseudobulk is not None and self._pooled is not None:
            return self._pooled(self, key)
        content = file.read(self.path(key))
        if file.columns and hasattr(content, "columns"):
            extra = check_columns(file, list(content.columns))
            self.unlisted |= {file.name: extra} if extra else {}
        return content

    def path(self, key: str) -> Path:
        """Where a file lies.

        Raises:
            SourceError: the file is not part of this load.
        """
        if key not in self._paths:
            raise SourceError(
                f"The file '{self._declared[key].name}' is not among the files of this load.",
                file=self._declared[key].name,
            )
        return self._paths[key]

    def sets(self) -> list[str]:
        """Names of the file sets that are there, in order of declaration."""
        present = (self._declared[key].set for key in self._declared if key in self._paths)
        return list(dict.fromkeys(name for name in present if name is not None))


def check_columns(file: File, columns: list[str]) -> list[str]:
    """Compare a table's columns with its declaration; return columns nobody declared, where they are allowed.

    Raises:
        SourceError: a declared column is missing, or another one is there that is neither declared nor allowed.
    """
    missing = [name for name in file.columns if name not in columns]
    extra = [name for name in columns if name not in file.columns and name not in file.ignored]
    if missing or (extra and not file.others_allowed):
        raise SourceError(
            _columns_changed(file.name, missing, extra if not file.others_allowed else []),
            file=file.name,
            column=(missing or extra)[0],
        )
    return extra


def _columns_changed(name: str, missing: list[str], extra: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"lacks the column{_s(missing)} {', '.join(map(repr, missing))}")
    if extra:
        parts.append(f"has the unknown column{_s(extra)} {', '.join(map(repr, extra))}")
    return (
        f"The file '{name}' {' and '.join(parts)}: it is not the release this source was written for; "
        "get that release, or declare the column in the source's file."
    )


def _s(items: list[str]) -> str:
    return "s" if len(items) > 1 else ""


@old_names.keyword("effects", "method")
@dataclass(frozen=True)
class Source:
    """One file of etl/: how one published data set family is read.

    key equals the file's name. folder: where the files lie unless --from says; without either they are fetched.
    blocks: from the files and a dataset's key to raw profiles, in any order, each in one block only. contexts: cells
    by the name the source gives them; contexts_of: those that a file of the release describes, beside them.
    condition_by: source_compound, or compound where several of the source's ids may be one compound. dose_decimals:
    decimals of uM that tell two conditions apart; None: doses are exact. method: of effects; None: by the readout.
    """

    key: str
    title: str
    assay: Assay
    files: Mapping[str, File]
    datasets: Mapping[str, Dataset]
    blocks: Callable[[Files, str], Iterator[ProfileBlock]]
    samples: SampleColumns
    features: Features
    contexts: Mapping[str, Context] = field(default_factory=dict)
    contexts_of: Callable[[Files], Mapping[str, Context]] | None = None
    compounds: CompoundColumns | None = None
    flags: tuple[Flag, ...] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)
    homepage: str | None = None
    folder: Path | None = None
    method: Method | None = None
    condition_by: Literal["source_compound", "compound"] = "source_compound"
    dose_decimals: int | None = None

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        for file in self.files.values():
            unknown = [key for key in file.datasets if key not in self.datasets]
            if unknown:
                raise SourceError(
                    f"Source '{self.key}': file '{file.name}' names unknown datasets {unknown}.",
                    file=file.name,
                    dataset=unknown[0],
                )
        unknown = [name for name in self.samples.condition_attributes if name not in self.samples.attributes]
        if unknown:
            raise SourceError(
                f"Source '{self.key}': the condition attribute '{unknown[0]}' is not in `attributes`.", value=unknown[0]
            )
        codes = [flag.code for flag in self.flags]
        if len(set(codes)) < len(codes):
            raise SourceError(f"Source '{self.key}' declares a flag twice.")

    @property
    def effect_method(self) -> Method:
        """The method its effects are estimated with: the declared one, or that of the readout."""
        return self.method or DEFAULT_METHOD[self.assay.readout]

    def of(self, dataset: str) -> Source:
        """The source as one of its data sets sees it: with the technology of that."""
        technology = self.datasets[dataset].technology or self.assay.technology
        return replace(self, assay=replace(self.assay, technology=technology))

    def with_contexts(self, files: Files) -> Source:
        """The source with the cells its files describe among its contexts; what is declared wins."""
        if self.contexts_of is None:
            return self
        return replace(self, contexts={**self.contexts_of(files), **self.contexts}, contexts_of=None)

    def files_of(self, dataset: str) -> dict[str, File]:
        """The files one dataset needs."""
        return {key: file for key, file in self.files.items() if not file.datasets or dataset in file.datasets}
