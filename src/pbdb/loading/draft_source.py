"""Write the declaration of anyone's plates: from a matrix and a sample sheet to a file that `pbdb etl load` takes.

    written = write(Path("my_screen.py"), Path("counts.csv.gz"), Path("sheet.csv"))

What the two files say by themselves stands in it; what they do not say is a blank, `FILL_IN`, with a comment that
says what belongs there. The registry refuses a declaration with blanks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pbdb.common.errors import ConfigError
from pbdb.identity.contexts.resolve import ContextVocabulary, resolve_context
from pbdb.loading import two_files
from pbdb.loading.sheet_inference import (
    ANNOTATIONS,
    Found,
    columns_of,
    compound,
    context,
    dose,
    flags,
    genes,
    plate,
    quoted,
    readout,
    time,
    unnamed_vehicles,
    vehicle,
    well,
    zero_doses,
)
from pbdb.loading.two_files import TwoFiles
from pbdb.readers import mtx_folders
from pbdb.readers.handwritten.headings import STRUCTURES
from pbdb.readers.profiles import TENX_MATRIX
from pbdb.sources import registry

KEY = re.compile(r"[a-z][a-z0-9_]*")
WIDTH = 100
WORDS = (
    "FILL_IN", "Assay", "CompoundColumns", "Context", "Dataset", "Features", "File", "Files", "Flag", "ProfileBlock",
    "SampleColumns", "Source", "col", "const",
)  # fmt: skip
BLANK_CELLS = "its Cellosaurus or Cell Ontology id ('CVCL:0023'), or '{key}:{name}' where it has none"


@dataclass(frozen=True)
class Written:
    """What was written: the file, its blanks by line, and how the two files fit each other.

    found: what each part became; samples: in both files; no_matrix_column, no_sheet_row: in one of them only. notes:
    what of the files was not taken as it stands, in sentences.
    """

    path: Path
    found: dict[str, str]
    blanks: dict[int, str]
    samples: int
    no_matrix_column: int
    no_sheet_row: int
    notes: tuple[str, ...] = ()


def write(
    path: Path,
    matrix: Path,
    samples: Path | None = None,
    *,
    technology: str | None = None,
    cells: ContextVocabulary | None = None,
    force: bool = False,
) -> Written:
    """Write the declaration `path`, whose name is the key of the source and of its one dataset.

    matrix: text, Parquet or h5ad, a 10x folder or the matrix.mtx in it. samples: the sheet; without one, the samples
    of an h5ad. technology: in words, a blank without. cells: known cells, by which names become ids. force: replace
    a file that is there.

    Raises:
        ConfigError: the name is none of a source, or the file is there.
        SourceError, DataError: a file is not there or cannot be read, or the two share no sample.
    """
    _check_name(path, force)
    plates = two_files.read(path, matrix, samples)
    parts = _parts(plates, technology, cells)
    lines = _declaration(plates, parts)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    blanks = {at: line.rpartition("# ")[2] for at, line in enumerate(lines, 1) if re.search(r"FILL_IN.*  # ", line)}
    codes = {name: "; ".join(entry.code for entry in some) for name, some in parts.items() if some}
    left = {reason: plates.counted.get(reason, 0) for reason in ("no_matrix_column", "no_sheet_row")}
    return Written(path, codes, blanks, len(plates.sheet), **left, notes=plates.notes)


def _check_name(path: Path, force: bool) -> None:
    key = path.name.removesuffix(".py")
    if not KEY.fullmatch(key) or path.suffix != ".py":
        raise ConfigError(
            f"'{key}' cannot be the name of a source: use lower case letters, digits and underscores.", value=key
        )
    if key in registry.known():
        raise ConfigError(f"'{key}' is a source that pbdb brings along: choose another name.", value=key)
    if path.exists() and not force:
        raise ConfigError(
            f"The file '{path}' is there already: choose another name, or replace it with --force.", file=str(path)
        )
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder '{path.parent}' for '{path.name}': make it first.")


def _parts(plates: TwoFiles, technology: str | None, cells: ContextVocabulary | None) -> dict[str, list[Found]]:
    """Every part of the declaration, in its order."""
    sheet = plates.sheet
    compounds, where = compound(sheet), context(sheet)
    doses, non_molar = dose(sheet)
    wells, vehicles = well(sheet), vehicle(sheet, compounds, doses)
    features, pattern = genes(plates.profiles.genes)
    return {
        "technology": [_technology(technology, pattern)],
        "readout": [readout(plates.profiles.values.data)],
        "sample": [Found(f"col({quoted(plates.sample)})", None, (plates.sample,))],
        "plate": [plate(sheet)],
        "well": [wells] if wells else [],
        "compound": [compounds],
        "dose": [doses],
        "non_molar_units": [non_molar] if non_molar.code else [],
        "time": [time(sheet)],
        "context": [where],
        "vehicle": [vehicles],
        "contexts": _cells(plates, where, cells),
        "flags": [*_flags(plates, compounds, vehicles), *zero_doses(sheet, doses, compounds, vehicles)],
        "features": [features],
        "gene": [Found(f'r"{pattern}"')] if pattern else [],
    }


def _flags(plates: TwoFiles, compounds: Found, vehicles: Found) -> list[Found]:
    marks = [
        *(Found(code) for code in flags(plates.sheet, compounds)),
        *unnamed_vehicles(plates.sheet, compounds, vehicles),
    ]
    return marks if plates.all_have_counts else [*marks, Found('Flag("no_counts", "n_counts == 0")')]


def _technology(technology: str | None, pattern: str | None) -> Found:
    if technology is None and pattern == r"(.+)_\d+":
        technology = "TempO-Seq"
    return Found(quoted(technology)) if technology else Found("FILL_IN", "how it was measured, such as 'DRUG-seq'")


def _cells(plates: TwoFiles, where: Found, known: ContextVocabulary | None) -> list[Found]:
    """An entry of `contexts` for each name of cells, with its id where the vocabulary has one."""
    if not where.columns:
        return [
            Found(
                "FILL_IN: Context(FILL_IN, FILL_IN)",
                "their name here, id and name: 'MCF7': Context('CVCL:0031', 'MCF-7')",
            )
        ]
    names = sorted(plates.sheet[where.columns[0]].dropna().str.strip().unique())
    return [_one_cell(plates.key, name, known) for name in names]


def _one_cell(key: str, name: str, known: ContextVocabulary | None) -> Found:
    match = resolve_context(name, known)
    if match.context is None:
        return Found(f"{quoted(name)}: Context(FILL_IN, {quoted(name)})", BLANK_CELLS.format(key=key, name=name))
    kind, label = (str(match.attributes.get(what)) for what in ("kind", "context_name"))
    more = "" if kind == "cell_line" else f", kind={quoted(kind)}"
    return Found(f"{quoted(name)}: Context({quoted(match.context)}, {quoted(label)}{more})")


# The text of the declaration


def _declaration(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> list[str]:
    function, compounds = _compounds(plates, parts)
    body = [*_blocks(plates, parts), "", "", *function]
    body += ["SOURCE = Source(", *(f"    {line}" for line in [*_source(plates, parts), *compounds]), ")"]
    return [*_head(plates), *_imports("\n".join(body)), "", "", *body]


def _head(plates: TwoFiles) -> list[str]:
    return [
        f'"""{plates.key}: the samples of {quoted(plates.matrix.name)} that {quoted(plates.samples.name)} describes.',
        "",
        "Written by `pbdb etl new`, and yours now. Correct what was inferred; where it says FILL_IN, write what the",
        f"end of the line asks for. Then: pbdb etl load {plates.declaration.name}",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Iterator",
        "from pathlib import Path",
        "",
    ]


def _imports(body: str) -> list[str]:
    used = [word for word in WORDS if re.search(rf"\b{word}\b", body)]
    pandas = ["import pandas as pd", ""] if "pd." in body else []
    return [
        *pandas,
        "from pbdb import readers",
        "from pbdb.source import (",
        *(f"    {word}," for word in used),
        ")",
    ]


def _blocks(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> list[str]:
    gene = f", gene={parts['gene'][0].code}" if parts["gene"] else ""
    return [
        "def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:",
        '    """One block: the samples that the matrix and the sheet share; the others are counted in the ledger."""',
        f'    yield readers.paired(files["matrix"], files["samples"], {quoted(plates.sample)}{gene})',
    ]


def _compounds(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> tuple[list[str], list[str]]:
    """The function that makes the compound table of the sheet and its declaration; nothing where it tells nothing."""
    structures, annotations = columns_of(plates.sheet, STRUCTURES), columns_of(plates.sheet, ANNOTATIONS)
    names = [*structures.values(), *annotations.values()]
    if not names or not parts["compound"][0].columns:
        return [], []
    key = parts["compound"][0].columns[0]
    function = [
        "def compounds(files: Files) -> pd.DataFrame:",
        '    """What the sheet says of each compound."""',
        f'    return readers.compounds_of(files["samples"], {quoted(key)}, {_list(names)})',
        "",
        "",
    ]
    keywords = [f"{kind}={quoted(name)}" for kind, name in structures.items()]
    said = ", ".join(f"{quoted(name)}: {quoted(kind)}" for kind, name in annotations.items())
    keywords += [f"annotations={{{said}}}"] if said else []
    return function, [f"compounds=CompoundColumns(compounds, key={quoted(key)}, {', '.join(keywords)}),"]


def _source(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> list[str]:
    return [
        f'key="{plates.key}",',
        f'title="{plates.key}",',
        f"folder={_folder(plates)},",
        "assay=Assay(",
        _line(parts["technology"][0]),
        _line(parts["readout"][0]),
        "),",
        "datasets={",
        f'    "{plates.key}": Dataset(',
        '        release="1",',
        '        license="not stated",',
        '        citation="unpublished",',
        '        access="on_request",',
        "        is_redistributable=False,",
        "    )",
        "},",
        *_files(plates, parts),
        "blocks=blocks,",
        "samples=SampleColumns(",
        *_samples(plates, parts),
        "),",
        _line(parts["features"][0], "features=").strip(),
        "contexts={",
        *(_line(entry) for entry in parts["contexts"]),
        "},",
        *(["flags=(", *(_line(entry) for entry in parts["flags"]), "),"] if parts["flags"] else []),
    ]


def _line(entry: Found, name: str = "") -> str:
    blank = f"  # {_on_one_line(entry.blank)}" if entry.blank else ""
    return f"    {name}{entry.code},{blank}"


def _on_one_line(words: str) -> str:
    """Words as a comment can hold them: a line, without what cannot be seen."""
    return "".join(character for character in " ".join(words.split()) if character.isprintable())


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, values))}]"


def _folder(plates: TwoFiles) -> str:
    """Where the files lie, seen from the declaration."""
    way = os.path.relpath(plates.folder, plates.declaration.absolute().parent)
    return "Path(__file__).parent" if way == "." else f"Path(__file__).parent / {quoted(way)}"


def _files(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> list[str]:
    read = "intensities" if parts["readout"][0].code == '"log2_intensity"' else "counts"
    files = {"matrix": (plates.matrix, read), "samples": (plates.samples, plates.reader)}
    if plates.matrix.name in TENX_MATRIX:
        _, features, barcodes = mtx_folders.tenx_files(plates.matrix.parent)
        files |= {"features": (features, "tsv"), "barcodes": (barcodes, "tsv")}
    lines = [
        f'    "{what}": File({quoted(os.path.relpath(path.absolute(), plates.folder))}, readers.{reader}),'
        for what, (path, reader) in files.items()
    ]
    return ["files={", *lines, "},"]


def _samples(plates: TwoFiles, parts: Mapping[str, list[Found]]) -> list[str]:
    names = ("sample", "plate", "well", "compound", "dose", "time", "context", "vehicle", "non_molar_units")
    lines = [_line(entry, f"{name}=") for name in names for entry in parts[name]]
    mapped = {column for name in names for entry in parts[name] for column in entry.columns}
    others = [str(column) for column in plates.sheet.columns if column and column not in mapped]
    return [*lines, "    attributes=(", *_wrapped(others), "    ),"] if others else lines


def _wrapped(values: Iterable[str]) -> list[str]:
    """Quoted values in lines of at most WIDTH, broken between values and never within one."""
    lines = [" " * 7]
    for word in (f" {quoted(value)}," for value in values):
        if lines[-1].strip() and len(lines[-1] + word) > WIDTH:
            lines.append(" " * 7)
        lines[-1] += word
    return lines
