"""pbdb de: differential expression of anyone's plates, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table, worries_words

if TYPE_CHECKING:
    from pbdb.effects.plate_run import GroupReport

A_PATH = click.Path(path_type=Path)


@click.group()
def de() -> None:
    """Estimate effects from a matrix and a sample sheet, without a database."""


class Span(click.ParamType[Any]):
    """`adaptive`, or a share of the genes."""

    name = "adaptive|NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word."""
        try:
            return value if value == "adaptive" else float(value)
        except ValueError:
            self.fail(f"'{value}' is neither adaptive nor a number.", param, ctx)


@examples(
    "pbdb de run --matrix counts.csv.gz --samples samples.csv --readout counts --out effects.parquet",
    "pbdb de run --matrix counts.txt --samples plan.xlsx --readout counts --out effects.xlsx",
    "pbdb de run --matrix counts.csv.gz --samples samples.csv --readout counts --out effects.csv --report page.html",
    "pbdb de run --matrix plates.h5ad --samples samples.csv --readout counts --mode replicate --out wells.parquet",
    "pbdb de run --matrix l3.parquet --samples samples.csv --readout log2_intensity --out effects.parquet --json",
)
@de.command()
@click.option(
    "--matrix",
    required=True,
    type=A_PATH,
    help="Genes x samples (.csv, .tsv, .xlsx, .parquet, .gct, .gctx, folder of 10x, STARsolo or kb), or .h5ad.",
)
@click.option(
    "--samples", required=True, type=A_PATH, help="Sample sheet (.csv, .tsv, .xlsx, .parquet), a row per sample."
)
@click.option("--readout", required=True, type=click.Choice(["counts", "log2_intensity"]), help="What the values are.")
@click.option(
    "--out",
    required=True,
    type=A_PATH,
    help="File to write (.parquet, .csv, .csv.gz, .xlsx, .h5ad); replaced where it is there.",
)
@click.option(
    "--method", type=click.Choice(["voom", "trend", "deseq2"]), help="By default voom for counts, else trend."
)
@click.option(
    "--mode",
    type=click.Choice(["pooled", "replicate"]),
    default="pooled",
    show_default=True,
    help="Effects of conditions, or of every treated sample.",
)
@click.option("--span", type=Span(), default="adaptive", show_default=True, help="Span of voom's trend.")
@click.option(
    "--p-values",
    type=click.Choice(["counts", "limma"]),
    default="counts",
    show_default=True,
    help="Of counts, which hold for single wells, limma's beside them; or limma's only. Intensities have limma's.",
)
@click.option(
    "--batching",
    type=click.Choice(["none", "published"]),
    default="none",
    show_default=True,
    help="One fit per context, or the batches of the published runs.",
)
@click.option(
    "--filter",
    type=click.Choice(["floor", "limma", "none"]),
    default="floor",
    show_default=True,
    help="Expression filter for counts.",
)
@click.option("--no-filter", is_flag=True, help="The same as --filter none.")
@click.option("--no-norm", is_flag=True, help="Take library sizes as they are, without TMM.")
@click.option("--robust/--no-robust", default=True, show_default=True, help="Tolerate genes of outlying variance.")
@click.option(
    "--min-cells",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Leave out samples of fewer cells (column n_cells).",
)
@click.option("--threads", type=click.IntRange(1), help="Threads to use; by default all.")
@click.option(
    "--report",
    type=A_PATH,
    help="A page to look at (.html): plates, replicates, fit, effects, what to worry about. Any other name: where to"
    " write the JSON report, by default beside --out.",
)
@json_option
def run(matrix: Path, samples: Path, out: Path, report: Path | None, as_json: bool, **chosen: Any) -> None:
    """Estimate the effect of every condition against the vehicle of its time and context.

    The sheet needs the columns sample_id, compound, dose_um, time_h, plate and is_control; context, stratum, well
    and n_cells are optional. Every context and stratum is fitted by itself. The output has one row per condition
    and gene; a condition that cannot be estimated has one row that says why. Beside Ensembl ids stand the symbols of
    the gene tables imported into this home.
    """
    from pbdb.effects import plate_run
    from pbdb.identity.vocabulary import genes

    is_page = report is not None and report.suffix.lower() in (".html", ".htm")
    report_to = report if report is not None and not is_page else out.with_suffix(".report.json")
    page_to = report if is_page else None
    with TerminalReporter(quiet=as_json) as reporter:
        written = plate_run.run(
            matrix,
            samples,
            out,
            _choices(**chosen),
            report_to=report_to,
            page_to=page_to,
            symbols=genes.symbols_in_home(settings()),
            progress=reporter.progress,
        )
    for note in written["notes"]:
        say(f"{note[0].upper()}{note[1:]}.")
    if written["ignored_columns"]:
        say(f"Columns of the sheet that were not read: {', '.join(written['ignored_columns'])}.")
    if as_json:
        show_json(written)
        return
    say(f"Wrote {written['rows']:,} rows to {out}, the report to {report_to}.")
    if page_to is not None:
        say(f"'{page_to}' has {written['page']['figures']} figures, {worries_words(written['page']['worries'])}.")
    show_table([_row(fit) for fit in written["fits"]], ["context", "stratum", "batch", "samples", "genes", "effects"])


def _choices(*, method: str | None, threads: int | None, no_filter: bool, no_norm: bool, **chosen: Any) -> Any:
    from pbdb.effects.options import FitOptions, Options

    rule = chosen.pop("filter")
    options = Options(
        readout=chosen.pop("readout"),
        method=None if method == "deseq2" else method,  # type: ignore[arg-type]
        span=chosen.pop("span"),
        filter="none" if no_filter else rule,
        normalise=not no_norm,
        robust=chosen.pop("robust"),
        p_values=chosen.pop("p_values"),
        threads=threads or settings().workers,
    )
    return FitOptions(options, deseq2=method == "deseq2", **chosen)


def _row(fit: GroupReport) -> list[object]:
    effects = ", ".join(f"{n:,} {status}" for status, n in fit["effects"].items())
    return [fit["context"], fit["stratum"], fit["batch"], fit["n_samples"], fit.get("genes_tested"), effects]
