"""Compound identity from a structure: standard form, parent, keys, fingerprints.

Standard form and parent follow the rules of the ChEMBL structure pipeline (Bento et al. 2020,
doi:10.1186/s13321-020-00456-1); keys are standard InChIKeys. docs/compound_identity.md says what is decided
for salts, mixtures, metals, radicals, isotopes, charges, tautomers and stereochemistry. Nothing here needs a
network, and RDKit's log is silent only while one of these functions runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, TypeVar

import numpy as np
from chembl_structure_pipeline import exclude_flag, standardizer
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdFingerprintGenerator, rdinchi, rdMolDescriptors
from rdkit.Chem.Draw import rdMolDraw2D

from pbdb.common.errors import ConfigError, DataError, QueryError

N_BITS: Final = 2048
_Id = TypeVar("_Id")

# The number goes up with every change of this file that can change a key.
RULE_VERSION: Final = (
    f"2 rdkit={rdBase.rdkitVersion} chembl_structure_pipeline={version('chembl_structure_pipeline')}"
    f" inchi={rdinchi.GetInchiVersion()}"
)

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=N_BITS)
_MOLBLOCK = re.compile(r"\bV[23]000\b|^M  END", re.MULTILINE)
# ChemAxon's hints on how bridges are drawn, for which RDKit refuses the whole line; they say nothing of identity.
_DRAWING_HINTS = re.compile(r"T[HL]B:[\d:.,]*(?=[^|]*\|$)")
_REPEAT_UNITS = frozenset({"SRU", "MON", "MER", "COP", "CRO", "MOD", "GRA", "ANY"})
# The pipeline's own solvent table writes DMSO with S=O, which its standard form no longer has.
_DMSO = Chem.MolFromSmarts("[CH3][S+]([CH3])[O-]")
_MAX_ATOMS = 1024
_COUNTER_IONS = frozenset({7, 8, 9, 17, 35, 53, 11, 19, 37, 55, 12, 20, 38, 56})
"""N (ammonia), O (water), halogens, alkali metals but lithium, earth alkali metals."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A standardised structure.

    smiles, inchikey, formula, molecular_weight (g/mol): of the compound with its counter-ions and isotopes.
    parent_smiles, parent_inchikey: without salts, solvents and isotope labels; skeleton: its first block.
    written_inchikey: of the structure as written, before standardisation; None where InChI has none.
    fingerprint: Morgan, radius 2, of the parent; pattern_fingerprint: RDKit's pattern fingerprint of the parent, for
    substructure search. Both 2048 bits in 256 bytes, most significant bit first (PostgreSQL's bit(2048)).
    kinds: of inorganic, metal, radical, isotope, charged, relative_stereo and mixture, those that apply.
    """

    smiles: str
    inchikey: str
    parent_smiles: str
    parent_inchikey: str
    skeleton: str
    formula: str
    molecular_weight: float
    fingerprint: bytes
    pattern_fingerprint: bytes
    written_inchikey: str | None = None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a structure has no identity.

    reason: empty, unparsable, polymer, query, too_large or not_standardisable; detail: the sentence to show.
    """

    reason: str
    detail: str


class _RefusedError(Exception):
    """Carries a refusal out of the small functions below; never leaves this module."""

    def __init__(self, reason: str, detail: str):
        self.refusal = Refusal(reason, detail)


def standardise(structure: str) -> Structure | Refusal:
    """Return the standard form of a SMILES, InChI or molblock, or why there is none."""
    with rdBase.BlockLogs():
        try:
            return _structure(_read(structure))
        except _RefusedError as error:
            return error.refusal
        except (ValueError, RuntimeError) as error:
            why = str(error).strip().splitlines() or ["RDKit gives no reason"]
            return Refusal("not_standardisable", f"the structure cannot be standardised: {why[0]}")


def bit_string(fingerprint: bytes) -> str:
    """Return a fingerprint as the 0/1 text that PostgreSQL reads as bit(2048)."""
    return "".join(f"{byte:08b}" for byte in fingerprint)


def _structure(written: Any) -> Structure:
    excluded = bool(exclude_flag.exclude_flag(written, includeRDKitSanitization=False))
    mol = _without_relative_stereo(written)
    standard = mol if excluded else standardizer.standardize_mol(Chem.Mol(mol), check_exclusion=False)
    smiles, inchikey = Chem.MolToSmiles(standard), _inchikey(standard)
    parent = _parent(standard, excluded)
    parent_key = inchikey if parent is standard else _inchikey(parent)
    return Structure(
        smiles=smiles,
        inchikey=inchikey,
        parent_smiles=smiles if parent is standard else Chem.MolToSmiles(parent),
        parent_inchikey=parent_key,
        skeleton=parent_key[:14],
        formula=rdMolDescriptors.CalcMolFormula(standard),
        molecular_weight=round(Descriptors.MolWt(standard), 4),
        fingerprint=np.packbits(_MORGAN.GetFingerprintAsNumPy(parent)).tobytes(),
        pattern_fingerprint=_pattern_fingerprint(parent),
        written_inchikey=inchikey if smiles == Chem.MolToSmiles(written) else _key_or_none(written),
        kinds=_kinds(written, excluded) + (("mixture",) if _is_mixture(parent) else ()),
    )


def _read(text: str) -> Any:
    text = text if _MOLBLOCK.search(text) else text.strip()
    if not text:
        raise _RefusedError("empty", "there is no structure")
    mol = _parse(text)
    if mol is None:
        raise _RefusedError("unparsable", f"RDKit cannot read the structure '{_shown(text)}'{_problem(text)}")
    _refuse_unfit(mol)
    return mol


def _parse(text: str) -> Any:
    if _MOLBLOCK.search(text):
        return Chem.MolFromMolBlock(text)
    if text.startswith("InChI="):
        return Chem.MolFromInchi(text)
    return Chem.MolFromSmiles(_DRAWING_HINTS.sub("", text).replace(",|", "|"))


def _problem(text: str) -> str:
    if _MOLBLOCK.search(text) or text.startswith("InChI="):
        return ""
    mol = Chem.MolFromSmiles(text, sanitize=False)
    problems = Chem.DetectChemistryProblems(mol) if mol is not None else []
    return f": {problems[0].Message()}" if problems else ""


def _shown(text: str) -> str:
    first = text.strip().splitlines()[0]
    return first if len(first) <= 60 else f"{first[:57]}..."


def _refuse_unfit(mol: Any) -> None:
    if mol.GetNumAtoms() == 0:
        raise _RefusedError("empty", "the structure has no atoms")
    if any(group.GetProp("TYPE") in _REPEAT_UNITS for group in Chem.GetMolSubstanceGroups(mol)):
        raise _RefusedError("polymer", "the structure has repeat units: a polymer has no InChIKey")
    if any(atom.GetAtomicNum() == 0 or atom.HasQuery() for atom in mol.GetAtoms()):
        raise _RefusedError("query", "the structure has attachment points or query atoms (*, R, A, Q)")
    if mol.GetNumAtoms() > _MAX_ATOMS:
        raise _RefusedError("too_large", f"the structure has over {_MAX_ATOMS} atoms, the limit of standard InChI")


def _without_relative_stereo(mol: Any) -> Any:
    """Drop centres of which only the relative configuration is known: the key would name one enantiomer."""
    relative = _relative_centres(mol)
    if not relative:
        return mol
    flat = Chem.RWMol(mol)
    flat.SetStereoGroups([])
    for atom in relative:
        flat.GetAtomWithIdx(atom.GetIdx()).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return flat.GetMol()


def _relative_centres(mol: Any) -> list[Any]:
    absolute = Chem.StereoGroupType.STEREO_ABSOLUTE
    groups = [group for group in mol.GetStereoGroups() if group.GetGroupType() != absolute]
    return [atom for group in groups for atom in group.GetAtoms()]


def _parent(standard: Any, excluded: bool) -> Any:
    """Strip salts, solvents and isotopes; one neutral unlabelled component is its own parent."""
    if not excluded and len(Chem.GetMolFrags(standard)) == 1 and not _has_isotope(standard):
        return standard
    dry = Chem.DeleteSubstructs(standard, _DMSO, onlyFrags=True)
    parent, _ = standardizer.get_parent_mol(dry if dry.GetNumAtoms() else standard, check_exclusion=excluded)
    if not excluded:
        parent = _without_counter_ions(parent)
    Chem.SanitizeMol(parent)
    return parent


def _without_counter_ions(parent: Any) -> Any:
    """Strip ions of alkali and earth alkali metals, halides, ammonia and water that stayed, and neutralise the rest.

    The pipeline keeps all parts where all are on its list of salts, as those of sodium benzoate are. Lithium stays: in
    its salts it is the drug. So do salts in which no part has carbon bound to carbon or hydrogen.
    """
    fragments = Chem.GetMolFrags(parent, asMols=True, sanitizeFrags=False)
    others = [fragment for fragment in fragments if not _is_counter_ion(fragment)]
    if len(others) == len(fragments) or not any(map(_is_organic, others)):
        return parent
    neutral = [standardizer.uncharge_mol(fragment) for fragment in others]
    first, *rest = {Chem.MolToSmiles(fragment): fragment for fragment in neutral}.values()
    for fragment in rest:
        first = Chem.CombineMols(first, fragment)
    return first


def _is_counter_ion(fragment: Any) -> bool:
    heavy = [atom for atom in fragment.GetAtoms() if atom.GetAtomicNum() > 1]
    return len(heavy) == 1 and heavy[0].GetAtomicNum() in _COUNTER_IONS


def _is_organic(fragment: Any) -> bool:
    carbons = [atom for atom in fragment.GetAtoms() if atom.GetAtomicNum() == 6]
    return any(
        atom.GetTotalNumHs(includeNeighbors=True) or any(other.GetAtomicNum() == 6 for other in atom.GetNeighbors())
        for atom in carbons
    )


def _inchikey(mol: Any) -> str:
    key = _key_or_none(mol)
    if key is None:
        raise _RefusedError("not_standardisable", "InChI has no key for the structure")
    return key


def _key_or_none(mol: Any) -> str | None:
    """Return the InChIKey; dative bonds go first, which InChI refuses though it cuts all bonds to metals."""
    dative = [bond for bond in mol.GetBonds() if bond.GetBondType() == Chem.BondType.DATIVE]
    if dative:
        mol = Chem.RWMol(mol)
        for bond in dative:
            mol.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return Chem.MolToInchiKey(mol) or None


def _kinds(mol: Any, excluded: bool) -> tuple[str, ...]:
    atoms = list(mol.GetAtoms())
    holds_of = {
        "inorganic": not any(atom.GetAtomicNum() == 6 for atom in atoms),
        "metal": excluded,
        "radical": any(atom.GetNumRadicalElectrons() for atom in atoms),
        "isotope": _has_isotope(mol),
        "charged": Chem.GetFormalCharge(mol) != 0,
        "relative_stereo": bool(_relative_centres(mol)),
    }
    return tuple(kind for kind, holds in holds_of.items() if holds)


def _has_isotope(mol: Any) -> bool:
    return any(atom.GetIsotope() for atom in mol.GetAtoms())


def _is_mixture(parent: Any) -> bool:
    """Tell whether two different components with carbon are left."""
    fragments = Chem.GetMolFrags(parent, asMols=True, sanitizeFrags=False)
    organic = [f for f in fragments if any(atom.GetAtomicNum() == 6 for atom in f.GetAtoms())]
    return len({Chem.MolToSmiles(fragment) for fragment in organic}) > 1


def _pattern_fingerprint(mol: Any) -> bytes:
    return np.packbits(np.array(Chem.PatternFingerprint(mol, fpSize=N_BITS), dtype=np.uint8)).tobytes()


def substructure(smarts: str, rows: Iterable[tuple[_Id, str]]) -> Iterator[_Id]:
    """Yield the ids of the rows (id, parent SMILES) that contain a SMARTS pattern.

    The SMILES must be those of Structure: they are read without being checked again.

    Raises:
        QueryError: the pattern cannot be read.
    """
    pattern = _pattern(smarts)
    return (number for number, smiles in rows if _trusted(smiles).HasSubstructMatch(pattern))


def pattern_screen(smarts: str) -> bytes:
    """Return the bits that a structure's pattern fingerprint must have if it contains a SMARTS pattern.

    Raises:
        QueryError: the pattern cannot be read.
    """
    return _pattern_fingerprint(_pattern(smarts))


def _pattern(smarts: str) -> Any:
    with rdBase.BlockLogs():
        pattern = Chem.MolFromSmarts(smarts.strip())
    if pattern is None or pattern.GetNumAtoms() == 0:
        raise QueryError(f"'{_shown(smarts) if smarts.strip() else smarts}' is not a SMARTS pattern.", value=smarts)
    pattern.UpdatePropertyCache(strict=False)
    return pattern


def _trusted(smiles: str) -> Any:
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    if mol is None:
        raise DataError(
            f"The stored SMILES '{_shown(smiles)}' cannot be read: resolve its compound again.", value=smiles
        )
    mol.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(mol)
    return mol


def picture(smiles: str, format: str = "svg", width: int = 400, height: int = 300) -> bytes:
    """Return a drawing of a SMILES as SVG or PNG; width and height in pixels.

    Raises:
        ConfigError: the format is neither svg nor png.
        DataError: the SMILES cannot be read.
    """
    drawers = {"svg": rdMolDraw2D.MolDraw2DSVG, "png": rdMolDraw2D.MolDraw2DCairo}
    if format not in drawers:
        raise ConfigError(f"A picture cannot be written as '{format}': give svg or png.", value=format)
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            raise DataError(f"The SMILES '{_shown(smiles)}' cannot be drawn: RDKit cannot read it.", value=smiles)
        drawer = drawers[format](width, height)
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
        drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    return text if isinstance(text, bytes) else text.encode()
