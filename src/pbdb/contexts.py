"""Context identity: the cells of a source as Cellosaurus and Cell Ontology ids, with what is known of them.

A source writes accessions, names in many spellings, or names nobody else knows. The rules stand in
docs/context_identity.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import pandas as pd

from pbdb.errors import VocabularyError
from pbdb.ids import stable_id
from pbdb.readers.cells import CONTEXT_COLUMNS, CellPart, context_frame, curie, read_cells, synonym_frame
from pbdb.source import Cells

__all__ = [
    "CellPart",
    "ContextMatch",
    "ContextVocabulary",
    "build_contexts",
    "context_rows",
    "context_table",
    "curie",
    "read_cells",
    "resolve_context",
    "resolve_contexts",
]

_LABELS = tuple(c for c in CONTEXT_COLUMNS if c not in {"context", "problem"})
INHERITED = tuple(c for c in CONTEXT_COLUMNS if c not in {"context", "context_name", "kind", "parent_context"})
"""What a derived line shares with the line it was derived from."""


@dataclass(frozen=True)
class ContextVocabulary:
    """Known cells and their other names.

    contexts: CONTEXT_COLUMNS of pbdb.readers.cells, unique by context (a CURIE); text None where not known.
    synonyms: synonym (a name or a secondary accession), context; unique by pair.
    """

    release: str
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
        `synonym`, `normalised`, `local` (a name of the source alone), `ambiguous` or `unresolved`.
    context: CURIE, or None when ambiguous or unresolved. candidates: the contexts of an ambiguous name.
    attributes: the other CONTEXT_COLUMNS, as far as known.
    """

    name: str
    context: str | None
    route: str
    candidates: tuple[str, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)


def build_contexts(
    parts: Sequence[CellPart], base: ContextVocabulary | None = None, release: str | None = None
) -> ContextVocabulary:
    """Merge parts, and a vocabulary that is there already; each attribute is taken from the first that tells it.

    Parts that name a release come before those that do not: Cellosaurus before tables derived from it.

    Raises:
        VocabularyError: there is nothing to merge, or two releases of one provider.
    """
    if not parts and base is None:
        raise VocabularyError("There is no table of cells to merge: give one, e.g. cellosaurus.txt.")
    ordered = sorted(parts, key=lambda part: part.release is None)
    releases = _releases([base.release if base else None, *(p.release for p in ordered)])
    tables = ([base.contexts] if base else []) + [p.contexts for p in ordered]
    pairs = pd.concat(([base.synonyms] if base else []) + [p.synonyms for p in ordered], ignore_index=True)
    contexts = context_frame(pd.concat(tables, ignore_index=True))
    names = zip(pairs["synonym"], pairs["context"], strict=True)
    others = pd.concat([t[["context_name", "context"]] for t in tables]).to_numpy().tolist()
    main = dict(zip(contexts["context"], contexts["context_name"], strict=True))
    synonyms = [(name, context) for name, context in [*names, *others] if main.get(context) != name]
    return ContextVocabulary(release or "; ".join(releases) or "unnamed", contexts, synonym_frame(synonyms))


def _releases(texts: Iterable[str | None]) -> list[str]:
    """List the releases merged; texts may themselves be lists joined by semicolons."""
    releases = list(dict.fromkeys(r for text in texts if text for r in text.split("; ")))
    providers = [r.rpartition(" ")[0] for r in releases]
    for release, provider in zip(releases, providers, strict=True):
        if provider and providers.count(provider) > 1:
            raise VocabularyError(f"{release} is not the only release of {provider}: import each as its own.")
    return releases


def resolve_context(
    name: str,
    vocabulary: ContextVocabulary | None,
    overrides: Mapping[str, Cells] | None = None,
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
        found = index.get(name if route != "normalised" else normalised(name), [])
        if found:
            return _chosen(name, route, found, vocabulary, organism)
    return ContextMatch(name, None, "unresolved")


def resolve_contexts(
    names: Iterable[str],
    vocabulary: ContextVocabulary | None,
    overrides: Mapping[str, Cells] | None = None,
    namespace: str | None = None,
    parents: Mapping[str, str] | None = None,
    organism: str = "human",
) -> list[ContextMatch]:
    """Resolve the names of a source; with a namespace those not found become `namespace:NAME`, route `local`.

    parents: name -> name of the line it was derived from; without one, what stands before the last dot
    (A375.311: A375) is tried. A local context takes its parent's tissue, donor and so on.
    """
    matches = {n: resolve_context(n, vocabulary, overrides, organism) for n in dict.fromkeys(names)}
    if namespace is None:
        return list(matches.values())
    for name, match in matches.items():
        if match.route == "unresolved":
            matches[name] = ContextMatch(name, f"{namespace}:{name}", "local", (), _described(name, organism))
    for name, match in matches.items():
        parent = (parents or {}).get(name) or name.rpartition(".")[0]
        if match.route == "local" and parent and parent != name:
            found = matches.get(parent) or resolve_context(parent, vocabulary, overrides, organism)
            matches[name] = _derived(match, found)
    return list(matches.values())


def context_table(matches: Iterable[ContextMatch]) -> pd.DataFrame:
    """Give the contexts of matches as CONTEXT_COLUMNS, one row each, without ambiguous and unresolved names."""
    return context_frame([{"context": m.context, **m.attributes} for m in matches if m.context])


def context_rows(declared: Iterable[Cells], known: ContextVocabulary | None) -> pd.DataFrame:
    """Rows of table `context` for declared cells: what the source states, filled in from the vocabulary.

    Without a vocabulary the columns that only it can tell are left out.
    """
    rows = []
    for cells in declared:
        told = resolve_context(cells.context, known, {cells.context: cells}).attributes
        row = {"context_id": stable_id("context", cells.context), "context": cells.context}
        rows.append(row | {name: told.get(name) for name in _LABELS} | {"problem_reason": told.get("problem")})
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
    name: str, route: str, found: list[str], vocabulary: ContextVocabulary | None, organism: str
) -> ContextMatch:
    rows = vocabulary.rows if vocabulary else {}
    same = [c for c in found if rows.get(c, {}).get("organism") in (organism, None)] or found
    if len(same) > 1:
        return ContextMatch(name, None, "ambiguous", tuple(sorted(same)))
    return ContextMatch(name, same[0], route, (), _known(same[0], vocabulary))


def _by_accession(name: str, accession: str, vocabulary: ContextVocabulary | None) -> ContextMatch:
    context = vocabulary.ids.get(accession) if vocabulary else None
    if context:
        return ContextMatch(name, context, "id", (), _known(context, vocabulary))
    kind = "cell_line" if accession.startswith("CVCL:") else "primary_cell"
    return ContextMatch(name, accession, "unknown_id", (), {"context_name": accession, "kind": kind})


def _declared(name: str, cells: Cells, vocabulary: ContextVocabulary | None) -> ContextMatch:
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


def _described(name: str, organism: str) -> dict[str, object]:
    return {"context_name": name, "kind": "unknown", "organism": organism}


def _derived(match: ContextMatch, parent: ContextMatch) -> ContextMatch:
    if parent.context is None:
        return match
    shared = {c: parent.attributes[c] for c in INHERITED if parent.attributes.get(c) is not None}
    kind = parent.attributes.get("kind", "unknown")
    attributes = {**match.attributes, **shared, "kind": kind, "parent_context": parent.context}
    return replace(match, attributes=attributes)
