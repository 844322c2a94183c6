"""Context identity: the cells of a source as Cellosaurus and Cell Ontology ids, with what is known of them.

A source writes accessions, names in many spellings, or names nobody else knows. The rules stand in
docs/context_identity.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import pandas as pd

from pbdb.common.ids import stable_id
from pbdb.identity.contexts.published_tables import (
    CONTEXT_COLUMNS,
    CellPart,
    context_frame,
    curie,
    read_cells,
    synonym_frame,
)
from pbdb.sources.declaration import Context

__all__ = [
    "CellPart",
    "ContextMatch",
    "ContextVocabulary",
    "build_contexts",
    "context_rows",
    "curie",
    "read_cells",
    "resolve_context",
]

_LABELS = tuple(c for c in CONTEXT_COLUMNS if c not in {"context", "problem"})


@dataclass(frozen=True)
class ContextVocabulary:
    """Known cells and their other names.

    contexts: CONTEXT_COLUMNS, unique by context (a CURIE); text None where not known.
    synonyms: synonym (a name or a secondary accession), context; unique by pair.
    """

    contexts: pd.DataFrame
    synonyms: pd.DataFrame

    @cached_property
    def rows(self) -> dict[str, dict[str, object]]:
        """Attributes by context."""
        records = self.contexts.to_dict("records")
        return {str(row["context"]): {str(k): v for k, v in row.items()} for row in records}

    @cached_property
    def ids(self) -> dict[str, str]:
        """Primary context of every accession, secondary ones included."""
        pairs = zip(self.synonyms["synonym"], self.synonyms["context"], strict=True)
        secondary = {old: context for name, context in pairs if (old := curie(name))}
        return secondary | {context: context for context in self.rows}

    @cached_property
    def levels(self) -> tuple[tuple[str, dict[str, list[str]]], ...]:
        """Where a name is looked up, in order: exact before normalised, main names before synonyms."""
        names = list(zip(self.contexts["context_name"], self.contexts["context"], strict=True))
        synonyms = list(zip(self.synonyms["synonym"], self.synonyms["context"], strict=True))
        return (
            ("name", _index(names)),
            ("synonym", _index(synonyms)),
            ("normalised", _index((normalised(n), c) for n, c in names if isinstance(n, str))),
            ("normalised", _index((normalised(n), c) for n, c in synonyms)),
        )


@dataclass(frozen=True)
class ContextMatch:
    """What a source's cell name stands for.

    route: `override` (the source's declaration), `id`, `unknown_id` (an accession the vocabulary lacks), `name`,
        `synonym`, `normalised`, `ambiguous` or `unresolved`.
    context: CURIE, or None when ambiguous or unresolved. candidates: the contexts of an ambiguous name.
    attributes: the other CONTEXT_COLUMNS, as far as known.
    """

    name: str
    context: str | None
    route: str
    candidates: tuple[str, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)


def build_contexts(parts: Sequence[CellPart]) -> ContextVocabulary:
    """Merge parts, at least one; each attribute is taken from the first that tells it."""
    tables = [part.contexts for part in parts]
    contexts = context_frame(pd.concat(tables, ignore_index=True))
    main = dict(zip(contexts["context"], contexts["context_name"], strict=True))
    pairs = [part.synonyms[["synonym", "context"]] for part in parts]
    pairs += [table[["context_name", "context"]].set_axis(["synonym", "context"], axis=1) for table in tables]
    synonyms = [(name, context) for name, context in pd.concat(pairs).to_numpy() if main.get(context) != name]
    return ContextVocabulary(contexts, synonym_frame(synonyms))


def resolve_context(
    name: str,
    vocabulary: ContextVocabulary | None,
    overrides: Mapping[str, Context] | None = None,
    organism: str = "human",
) -> ContextMatch:
    """Resolve one name: by the source's declaration, accession, name, synonym, then without case and punctuation.

    A declaration states the identity, and its attributes win; where it is silent the vocabulary fills in. Of
    several cells with one name those of `organism` count; if more than one is left the name is ambiguous.
    """
    name = name.strip()
    if overrides and name in overrides:
        return _declared(name, overrides[name], vocabulary)
    accession = curie(name)
    if accession:
        return _by_accession(name, accession, vocabulary)
    for route, index in vocabulary.levels if vocabulary else ():
        curies = index.get(name if route != "normalised" else normalised(name), [])
        if curies:
            return _chosen(name, route, curies, vocabulary, organism)
    return ContextMatch(name, None, "unresolved")


def context_rows(declared: Iterable[Context], known: ContextVocabulary | None) -> pd.DataFrame:
    """Rows of table `context` for declared cells: what the source states, filled in from the vocabulary.

    Without a vocabulary the columns that only it can tell are left out.
    """
    rows = []
    for cells in declared:
        attributes = resolve_context(cells.context, known, {cells.context: cells}).attributes
        row = {"context_id": stable_id("context", cells.context), "context": cells.context}
        rows.append(
            row | {name: attributes.get(name) for name in _LABELS} | {"problem_reason": attributes.get("problem")}
        )
    frame = pd.DataFrame(rows)
    if known is None:
        return frame.drop(columns=["tissue_id", "disease_id", "is_problematic", "problem_reason"], errors="ignore")
    return frame.assign(is_problematic=[bool(row["is_problematic"]) for row in rows])


def normalised(name: str) -> str:
    """Drop case, accents and punctuation: `MDA_MB-231` is mdamb231, `T cells` is tcell."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return re.sub(r"cells$", "cell", "".join(c for c in plain if c.isalnum()))


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for name, context in pairs:
        contexts = index.setdefault(name, [])
        if context not in contexts:
            contexts.append(context)
    return index


def _chosen(
    name: str, route: str, curies: list[str], vocabulary: ContextVocabulary | None, organism: str
) -> ContextMatch:
    rows = vocabulary.rows if vocabulary else {}
    same = [c for c in curies if rows.get(c, {}).get("organism") in (organism, None)] or curies
    if len(same) > 1:
        return ContextMatch(name, None, "ambiguous", tuple(sorted(same)))
    return ContextMatch(name, same[0], route, (), _known(same[0], vocabulary))


def _by_accession(name: str, accession: str, vocabulary: ContextVocabulary | None) -> ContextMatch:
    context = vocabulary.ids.get(accession) if vocabulary else None
    if context:
        return ContextMatch(name, context, "id", (), _known(context, vocabulary))
    kind = "cell_line" if accession.startswith("CVCL:") else "primary_cell"
    return ContextMatch(name, accession, "unknown_id", (), {"context_name": accession, "kind": kind})


def _declared(name: str, cells: Context, vocabulary: ContextVocabulary | None) -> ContextMatch:
    context = curie(cells.context) or cells.context
    context = vocabulary.ids.get(context, context) if vocabulary else context
    stated = {k: v for k, v in asdict(cells).items() if k != "context" and v is not None}
    stated["context_name"] = stated.pop("name")
    known = _known(context, vocabulary)
    for label in ("tissue", "disease"):  # an id belongs to the vocabulary's label, not to another one
        if stated.get(label, known.get(label)) != known.get(label):
            known[f"{label}_id"] = None
    return ContextMatch(name, context, "override", (), {**known, **stated})


def _known(context: str, vocabulary: ContextVocabulary | None) -> dict[str, object]:
    row = vocabulary.rows.get(context, {}) if vocabulary else {}
    return {column: row[column] for column in CONTEXT_COLUMNS[1:] if column in row}
