"""Resolution of what sources write about compounds into identities, in one written order.

Order: structure, InChIKey, PubChem CID, alias, CAS number, name, name in a reference table; the first that leads to
an identity decides, the others are compared with it. docs/compound_identity.md has the order and every decision behind
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pbdb.common.errors import VocabularyError
from pbdb.common.progress import Progress, silent
from pbdb.common.typed_cells import folded, unjoined
from pbdb.identity.compounds.clean_text import cas_or_none, cid_or_none, inchikey_or_none, name_or_none, text_or_none
from pbdb.identity.compounds.many_structures import standardise_all
from pbdb.identity.compounds.pubchem_rest import Entry, Lookup
from pbdb.identity.compounds.structure import RULE_VERSION, Refusal, Structure

ROUTES: Final = ("structure", "inchikey", "pubchem_cid", "alias", "cas", "name", "reference", "unresolved")

_NO_STEREO = "UHFFFAOY"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Record:
    """What a source writes about a compound: cells as they come, sentinels and missing values included.

    structure: SMILES, InChI or molblock. source_id: the source's own id; with the name, the key of an alias.
    """

    structure: object = None
    inchikey: object = None
    pubchem_cid: object = None
    cas: object = None
    name: object = None
    source_id: object = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The identity of one record.

    route: one of ROUTES, what decided. inchikey: None where only the CID is known, or nothing. parent_inchikey: None
    where the structure is not known. conflict: which given key or CID contradicts the identity; problem: what was
    given but could not be used, and why; both in words, or None. title: PubChem's name of the CID, where known.
    """

    route: str
    inchikey: str | None = None
    parent_inchikey: str | None = None
    skeleton: str | None = None
    pubchem_cid: int | None = None
    structure: Structure | None = None
    conflict: str | None = None
    problem: str | None = None
    title: str | None = None
    rule_version: str = RULE_VERSION


def resolve(
    records: Iterable[Record],
    *,
    aliases: Mapping[str, int] | None = None,
    pubchem: Lookup | None = None,
    references: Mapping[str, Sequence[str]] | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> list[Resolution]:
    """Resolve records, in their order.

    aliases: name or id of this source -> CID, compared without regard to case. pubchem: without one, CIDs, CAS
    numbers and names lead to no structure, and given CIDs are not checked. references: structures by name, as `folded`
    and `unjoined` spell it, of reference tables in use. workers: processes for structures.

    Raises:
        VocabularyError: two aliases differ in case only, or PubChem does not answer.
    """
    table = _alias_table(aliases or {})
    cleaned = [_clean(record, table) for record in records]
    facts = _Facts(pubchem, workers, references or {}, progress)
    facts.learn_structures(g.structure for g in cleaned)
    facts.learn_cids(cid for g in cleaned for cid in (g.cid, g.alias))
    facts.learn_inchikeys(g.inchikey for g in cleaned if not facts.structure(g.structure))
    unsettled = [g for g in cleaned if not _settled(g, facts)]
    facts.learn_names(text for g in unsettled for text in (g.cas, g.name))
    facts.learn_structures(text for g in unsettled for text in facts.listed(g.name))
    routes = [_identify(g, facts) for g in cleaned]
    pairs = [(g, identity) for g, (_, identity) in zip(cleaned, routes, strict=True) if identity]
    facts.learn_inchikeys(identity.inchikey for g, identity in pairs if not _pubchem_cid(g, identity, facts))
    return [_resolution(g, route, identity, facts) for g, (route, identity) in zip(cleaned, routes, strict=True)]


def difference(inchikey: str, structure: Structure) -> str | None:
    """Name the way in which a given InChIKey differs from a structure, or None where it does not.

    The key of the structure as written counts as agreement, for standardisation alone made it another.
    """
    keys = [key for key in (structure.inchikey, structure.written_inchikey) if key]
    if inchikey in keys:
        return None
    if inchikey == structure.parent_inchikey:
        return "isotope" if "isotope" in structure.kinds else "salt"
    if any(inchikey[:25] == key[:25] for key in keys):
        return "charge"
    if any(inchikey[:14] == key[:14] for key in keys):
        return _stereo_difference(inchikey, structure.inchikey)
    return "salt and stereo" if inchikey[:14] == structure.skeleton else "structure"


@dataclass(frozen=True, slots=True)
class _Given:
    """A cleaned record; problems: what in it cannot be used."""

    structure: str | None
    inchikey: str | None
    cid: int | None
    alias: int | None
    cas: str | None
    name: str | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Identity:
    inchikey: str | None
    cid: int | None
    structure: Structure | None

    @property
    def level(self) -> str | int | None:
        """The parent where it is known, else the best there is."""
        return self.structure.parent_inchikey if self.structure else self.inchikey or self.cid


class _Facts:
    """What structures and PubChem say, asked in bulk before any record is decided."""

    def __init__(
        self, pubchem: Lookup | None, workers: int, references: Mapping[str, Sequence[str]], progress: Progress
    ):
        self._pubchem, self._workers, self._references, self._progress = pubchem, workers, references, progress
        self._structures: dict[str, Structure | Refusal] = {}
        self._entries: dict[int, Entry | None] = {}
        self._by_inchikey: dict[str, tuple[int, ...]] = {}
        self._by_name: dict[str, tuple[int, ...]] = {}

    def learn_structures(self, texts: Iterable[str | None]) -> None:
        new = [text for text in texts if text and text not in self._structures]
        self._structures.update(standardise_all(new, self._workers, self._progress))

    def learn_cids(self, cids: Iterable[int | None]) -> None:
        new = list(dict.fromkeys(cid for cid in cids if cid and cid not in self._entries))
        if self._pubchem and new:
            self._entries.update(self._pubchem.entries(new))
            entries = [self._entries.get(cid) for cid in new]
            self.learn_structures(entry.structure for entry in entries if entry)

    def learn_inchikeys(self, keys: Iterable[str | None]) -> None:
        new = list(dict.fromkeys(key for key in keys if key and key not in self._by_inchikey))
        if self._pubchem and new:
            cids_of = self._pubchem.cids_of_inchikeys(new)
            self._by_inchikey.update(cids_of)
            self.learn_cids(cids[0] for cids in cids_of.values() if cids)

    def learn_names(self, names: Iterable[str | None]) -> None:
        new = list(dict.fromkeys(name for name in names if name))
        if self._pubchem and new:
            self._by_name = self._pubchem.cids_of_names(new)
            self.learn_cids(cid for cids in self._by_name.values() for cid in cids)

    def structure(self, text: str | None) -> Structure | None:
        standardised = self._structures.get(text or "")
        return standardised if isinstance(standardised, Structure) else None

    def refusal(self, text: str | None) -> str | None:
        standardised = self._structures.get(text or "")
        return standardised.detail if isinstance(standardised, Refusal) else None

    def of_cid(self, cid: int) -> _Identity | None:
        """Return the identity of a CID, of the CID alone where nothing is known of it, None if there is none."""
        if cid not in self._entries:
            return _Identity(None, cid, None)
        entry = self._entries[cid]
        if entry is None:
            return None
        structure = self.structure(entry.structure)
        return _Identity(structure.inchikey if structure else entry.inchikey, cid, structure)

    def of_inchikey(self, key: str) -> _Identity:
        for cid in self._by_inchikey.get(key, ())[:1]:
            identity = self.of_cid(cid)
            if identity and identity.structure and not difference(key, identity.structure):
                return identity
        return _Identity(key, None, None)

    def of_name(self, name: str | None) -> list[_Identity] | None:
        """Return the identities of all hits, or None where the name was not looked up."""
        cids = self._by_name.get(name or "")
        return None if cids is None else [hit for hit in map(self.of_cid, cids) if hit]

    def listed(self, name: str | None) -> Sequence[str]:
        """Structures that reference tables give a name."""
        if not name:
            return ()
        return self._references.get(folded(name)) or self._references.get(unjoined(name), ())

    def of_reference(self, name: str | None) -> list[_Identity]:
        """Return the identities of the structures of a name, one for each parent."""
        structures = filter(None, map(self.structure, self.listed(name)))
        by_parent: dict[str, _Identity] = {}
        for structure in structures:
            identity = _Identity(structure.inchikey, None, structure)
            if structure.inchikey == structure.parent_inchikey or structure.parent_inchikey not in by_parent:
                by_parent[structure.parent_inchikey] = identity
        return list(by_parent.values())

    def title(self, cid: int | None) -> str | None:
        entry = self._entries.get(cid or 0)
        return entry.title if entry else None

    def lowest_cid(self, inchikey: str | None) -> int | None:
        return next(iter(self._by_inchikey.get(inchikey or "", ())), None)


def _clean(record: Record, aliases: Mapping[str, int]) -> _Given:
    problems: list[str] = []
    keys = [text.casefold() for text in map(text_or_none, (record.source_id, record.name)) if text]
    return _Given(
        structure=str(record.structure) if text_or_none(record.structure) else None,
        inchikey=_checked(record.inchikey, "InChIKey", inchikey_or_none, problems),
        cid=_checked(record.pubchem_cid, "PubChem CID", cid_or_none, problems),
        alias=next((aliases[key] for key in keys if key in aliases), None),
        cas=_checked(record.cas, "CAS number", cas_or_none, problems),
        name=name_or_none(record.name),
        problems=tuple(problems),
    )


def _checked(value: object, what: str, read: Callable[[str], _T | None], problems: list[str]) -> _T | None:
    text = text_or_none(value)
    result = read(text) if text else None
    if text and result is None:
        problems.append(f"'{text}' is not a valid {what}")
    return result


def _alias_table(aliases: Mapping[str, int]) -> dict[str, int]:
    table: dict[str, int] = {}
    for name, cid in aliases.items():
        if table.setdefault(name.strip().casefold(), cid) != cid:
            raise VocabularyError(f"The alias '{name}' stands for two PubChem CIDs: keep one of the rows.", value=name)
    return table


def _by_structure(record: _Given, facts: _Facts) -> _Identity | None:
    structure = facts.structure(record.structure)
    return _Identity(structure.inchikey, None, structure) if structure else None


def _by_inchikey(record: _Given, facts: _Facts) -> _Identity | None:
    return facts.of_inchikey(record.inchikey) if record.inchikey else None


def _by_cid(record: _Given, facts: _Facts) -> _Identity | None:
    return facts.of_cid(record.cid) if record.cid else None


def _by_alias(record: _Given, facts: _Facts) -> _Identity | None:
    return facts.of_cid(record.alias) if record.alias else None


def _by_cas(record: _Given, facts: _Facts) -> _Identity | None:
    return _only_hit(facts.of_name(record.cas))


def _by_name(record: _Given, facts: _Facts) -> _Identity | None:
    return _only_hit(facts.of_name(record.name))


def _by_reference(record: _Given, facts: _Facts) -> _Identity | None:
    return _only_hit(facts.of_reference(record.name))


def _only_hit(hits: Sequence[_Identity] | None) -> _Identity | None:
    """Return the one identity of several hits: the parent itself if it is among them, else the first."""
    if not hits or len({hit.level for hit in hits}) > 1:
        return None
    return next((hit for hit in hits if hit.inchikey == hit.level), hits[0])


_WITHOUT_NAMES: Final = (_by_structure, _by_inchikey, _by_cid, _by_alias)
_FINDERS: Final = tuple(zip(ROUTES, (*_WITHOUT_NAMES, _by_cas, _by_name, _by_reference), strict=False))


def _settled(record: _Given, facts: _Facts) -> bool:
    return any(find(record, facts) for find in _WITHOUT_NAMES)


def _identify(record: _Given, facts: _Facts) -> tuple[str, _Identity | None]:
    for route, find in _FINDERS:
        if identity := find(record, facts):
            return route, identity
    return "unresolved", None


def _resolution(record: _Given, route: str, identity: _Identity | None, facts: _Facts) -> Resolution:
    problem = "; ".join(_problems(record, route, facts)) or None
    if identity is None:
        return Resolution(route, problem=problem)
    structure, cid = identity.structure, _pubchem_cid(record, identity, facts)
    return Resolution(
        route=route,
        inchikey=identity.inchikey,
        parent_inchikey=structure.parent_inchikey if structure else None,
        skeleton=structure.skeleton if structure else identity.inchikey[:14] if identity.inchikey else None,
        pubchem_cid=cid,
        title=facts.title(cid),
        structure=structure,
        conflict="; ".join(_conflicts(record, identity, facts)) or None,
        problem=problem,
    )


def _pubchem_cid(record: _Given, identity: _Identity, facts: _Facts) -> int | None:
    """Return the CID that decided, else a given one that nothing contradicts, else the lowest of the key."""
    if identity.cid:
        return identity.cid
    if record.cid and facts.of_cid(record.cid) and not _cid_difference(record.cid, identity, facts):
        return record.cid
    return facts.lowest_cid(identity.inchikey)


def _conflicts(record: _Given, identity: _Identity, facts: _Facts) -> Iterator[str]:
    if record.inchikey and (why := _inchikey_difference(record.inchikey, identity)):
        yield f"{why}: the InChIKey given is {record.inchikey}, the one found {identity.inchikey}"
    if record.cid and (why := _cid_difference(record.cid, identity, facts)):
        other = facts.of_cid(record.cid)
        yield f"{why}: the CID given, {record.cid}, is {other and other.inchikey}, the key found {identity.inchikey}"


def _inchikey_difference(inchikey: str, identity: _Identity) -> str | None:
    if identity.structure:
        return difference(inchikey, identity.structure)
    return None if inchikey == identity.inchikey else "structure"


def _cid_difference(cid: int, identity: _Identity, facts: _Facts) -> str | None:
    other = facts.of_cid(cid)
    if other is None or other.inchikey is None or identity.inchikey in (None, other.inchikey):
        return None
    if identity.structure and other.structure and identity.level == other.level:
        return "salt"
    if identity.structure:
        return difference(other.inchikey, identity.structure)
    return difference(str(identity.inchikey), other.structure) if other.structure else "structure"


def _stereo_difference(stated: str, computed: str) -> str:
    if stated[15:23] == _NO_STEREO:
        return "stereo, not in the given key"
    return "stereo, not in the structure" if computed[15:23] == _NO_STEREO else "stereo"


def _problems(record: _Given, route: str, facts: _Facts) -> Iterator[str]:
    yield from record.problems
    if refusal := facts.refusal(record.structure):
        yield refusal
    for cid in (record.cid, record.alias):
        if cid and facts.of_cid(cid) is None:
            yield f"PubChem has no CID {cid}"
    proposed = facts.of_reference(record.name) if route == "unresolved" else []
    if len(proposed) > 1:
        keys = ", ".join(str(identity.inchikey) for identity in proposed[:5])
        yield f"'{record.name}' is ambiguous in reference tables: {keys}; add the one that is meant as its inchikey"
    if route in ("cas", "name", "unresolved"):
        texts = (record.cas,) if route == "cas" else (record.cas, record.name)
        yield from (_name_problem(text, facts) for text in texts if text and not _only_hit(facts.of_name(text)))


def _name_problem(name: str, facts: _Facts) -> str:
    hits = facts.of_name(name)
    if hits is None:
        return f"'{name}' has not been looked up in PubChem"
    if not hits:
        return f"PubChem has no compound named '{name}'"
    cids = ", ".join(str(hit.cid) for hit in hits[:5])
    return f"'{name}' is ambiguous: {len(hits)} CIDs ({cids}{', ...' if len(hits) > 5 else ''})"
