"""Write the page, and the figures as files."""

from __future__ import annotations

from pathlib import Path

from pbdb.common import output_files
from pbdb.common.errors import ConfigError
from pbdb.common.page.html import page
from pbdb.common.page.svg import standalone
from pbdb.common.settings import Settings
from pbdb.matches.match_table import Rule
from pbdb.matches.report import data, sections


def write(
    settings: Settings,
    out: Path,
    rule: Rule | None = None,
    *,
    svg: Path | None = None,
    n_matches: int = data.MOST_MATCHES,
) -> dict[str, int]:
    """Write the page on the agreement by a rule to a file, and every figure into the folder `svg`.

    n_matches: single matches shown at most.

    Returns:
        figures, matches, bytes: how many.

    Raises:
        QueryError: no agreement by this rule is stored.
        ConfigError: the page or the figures cannot be written there, or no match is asked for.
    """
    output_files.require_file(out)
    if n_matches < 1:
        raise ConfigError(f"{n_matches} matches make no page: give a number from 1.", value=n_matches)
    if svg is not None:
        output_files.make_folder(svg)
    contents = data.read(settings, rule or Rule(), n_matches)
    figures, of_matches = sections.all_figures(contents), sections.match_figures(contents)
    text = page("Do data sets agree?", sections.body(contents, figures, of_matches), sections.symbols(contents))
    if svg is not None:
        for figure in (*figures, *of_matches):
            (svg / f"{figure.key}.svg").write_bytes(standalone(figure.picture))
    out.write_text(text, encoding="utf-8", newline="\n")
    return {"figures": len(figures) + len(of_matches), "matches": len(contents.matches), "bytes": len(text.encode())}
