"""Splits for training that do not leak: made by a rule, stored with the conditions, and proved.

Vehicle conditions belong to no fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.ids import stable_id
from pbdb.common.rows import Json, Row
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.database.choices import LEVELS
from pbdb.database.copy_text import copy_frame
from pbdb.learn.splits import leak_check, transfer
from pbdb.learn.splits import rules as split_rules
from pbdb.learn.splits.leak_check import Finding
from pbdb.learn.splits.rules import Shares
from pbdb.server import connect


def usual_shares(kind: str) -> Shares:
    """What is held out unless somebody says otherwise."""
    return Shares(0.15, 0.15) if kind == "published" else Shares(0.1, 0.1)


@dataclass(frozen=True)
class Rule:
    """How a split is made.

    kind: what is held out: compound, scaffold, context, dataset, published (pairs of compound and context), transfer
    (compounds of one dataset that train in others), or attribute (as the source says of its conditions). level: at
    which two compounds are one. shares: `usual_shares` unless given. datasets: all unless given.
    """

    kind: str
    level: str = "parent_inchikey"
    seed: int = 0
    shares: Shares | None = None
    datasets: Sequence[str] = ()
    attribute: str = "split"

    def __post_init__(self) -> None:
        if self.kind not in _FOLDS_BY:
            raise ConfigError(f"'{self.kind}' is no kind of split: choose {', '.join(_FOLDS_BY)}.")
        if self.level not in LEVELS:
            raise ConfigError(f"'{self.level}' is no level of identity: choose {', '.join(LEVELS)}.")

    @property
    def drawn(self) -> Shares:
        """The shares that are held out."""
        return self.shares or usual_shares(self.kind)

    @property
    def name(self) -> str:
        """The name a split of this rule has unless it is given one."""
        if self.kind == "attribute":
            return "-".join((*self.datasets, self.attribute))
        by_compound = self.kind in ("compound", "scaffold", "published", "transfer")
        return "-".join((self.kind, *([self.level] if by_compound else []), *self.datasets, str(self.seed)))

    def as_dict(self) -> dict[str, object]:
        """Every choice, to be stored."""
        if self.kind == "attribute":
            return {"attribute": self.attribute, "level": self.level, "datasets": list(self.datasets)}
        shares = {"validation": self.drawn.validation, "test": self.drawn.test}
        return {"level": self.level, "seed": self.seed, "datasets": list(self.datasets), **shares}


@dataclass(frozen=True)
class Made:
    """A split as it was made, with how many conditions each fold has."""

    split: str
    kind: str
    parameters: dict[str, object]
    folds: dict[str, int]


@dataclass(frozen=True)
class Stored:
    """A split as it is stored; folds: conditions, compounds and contexts of each by dataset."""

    split: str
    kind: str
    parameters: Json
    code_version: str
    created_at: datetime
    folds: list[Row]


@dataclass(frozen=True)
class Checked:
    """Whether a split keeps its promise, what was found, and how many conditions it does not divide (loaded since)."""

    split: str
    ok: bool
    n_conditions: int
    n_undivided: int
    findings: list[Finding]


def make(settings: Settings, rule: Rule, name: str | None = None, *, replace: bool = False) -> Made:
    """Divide the conditions by a rule and store the split.

    Raises:
        ConfigError: the name is taken (unless `replace`), or there are too few groups.
        QueryError: a dataset is not there, or no condition can be divided.
    """
    chosen = name or rule.name
    with connect.engine(settings).begin() as connection:
        _require(connection, rule.datasets)
        taken = connection.execute(
            text("SELECT split_id FROM core.split WHERE split = :name"), {"name": chosen}
        ).scalar()
        if taken is not None and not replace:
            raise ConfigError(f"There is a split '{chosen}' already: give another --name, or --replace it.")
        table = _conditions(connection, rule)
        if table.empty:
            raise QueryError(
                f"No condition can be divided by {rule.kind}: `SELECT * FROM coverage` shows what is loaded."
            )
        table["fold"] = _FOLDS_BY[rule.kind](table, rule)
        _store(connection, chosen, rule, table)
    return Made(chosen, rule.kind, rule.as_dict(), _counted(table))


def listed(settings: Settings) -> list[Row]:
    """All splits, with how many conditions each fold has."""
    with connect.engine(settings).connect() as connection:
        return [dict(row) for row in connection.execute(text(_LIST)).mappings()]


def show(settings: Settings, name: str) -> Stored:
    """A split, with what each fold holds.

    Raises:
        QueryError: there is no such split.
    """
    with connect.engine(settings).connect() as connection:
        rows = connection.execute(text(_SHOW), {"name": name}).mappings()
        return _stored(connection, name, [dict(row) for row in rows])


def drop(settings: Settings, name: str) -> None:
    """Remove a split.

    Raises:
        QueryError: there is no such split.
    """
    with connect.engine(settings).begin() as connection:
        _stored(connection, name)
        connection.execute(text("DELETE FROM core.split WHERE split = :name"), {"name": name})


def check(settings: Settings, name: str) -> Checked:
    """Look for leaks in a stored split, as the conditions are now.

    Raises:
        QueryError: there is no such split.
    """
    with connect.engine(settings).connect() as connection:
        stored = _stored(connection, name)
        rule = _rule_of(stored)
        table = _conditions(connection, rule)
        folds = _frame(connection, _MEMBERS, {"name": name}).set_index("condition_id")["fold"]
    members = table.assign(fold=table["condition_id"].map(folds)).dropna(subset=["fold"])
    findings = leak_check.examine(members, stored.kind, rule.level)
    return Checked(name, not leak_check.leaks(findings), len(members), len(table) - len(members), findings)


def _stored(connection: Connection, name: str, folds: Sequence[Row] = ()) -> Stored:
    row = connection.execute(text(_STORED), {"name": name}).first()
    if row is None:
        raise QueryError(f"There is no split '{name}': `pbdb split list` shows them, `pbdb split make` makes one.")
    split, kind, parameters, code_version, created_at = row
    return Stored(split, kind, parameters, code_version, created_at, list(folds))


def _rule_of(stored: Stored) -> Rule:
    parameters = stored.parameters
    return Rule(
        stored.kind,
        level=parameters.get("level", "parent_inchikey"),
        datasets=tuple(parameters.get("datasets", ())),
        attribute=parameters.get("attribute", "split"),
    )


def _require(connection: Connection, datasets: Sequence[str]) -> None:
    known = set(connection.execute(text("SELECT dataset FROM core.dataset")).scalars())
    for name in datasets:
        if name not in known:
            raise QueryError(f"There is no dataset '{name}' in the database: `pbdb etl status` lists what is loaded.")


def _frame(connection: Connection, query: str, values: Mapping[str, object]) -> pd.DataFrame:
    answer = connection.execute(text(query), values)
    return pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))


def _conditions(connection: Connection, rule: Rule) -> pd.DataFrame:
    values = {"datasets": list(rule.datasets) or None, "attribute": rule.attribute, "all": rule.kind != "attribute"}
    return _frame(connection, _CONDITIONS, values)


def _counted(table: pd.DataFrame) -> dict[str, int]:
    return dict(sorted(Counter(table["fold"]).items()))


def _store(connection: Connection, name: str, rule: Rule, table: pd.DataFrame) -> None:
    connection.execute(text("DELETE FROM core.split WHERE split = :name"), {"name": name})
    split_id = stable_id("split", name)
    row = {"split_id": split_id, "split": name, "kind": rule.kind, "code_version": __version__}
    copy_frame(connection, "core.split", pd.DataFrame([row | {"parameters": rule.as_dict()}]))
    copy_frame(connection, "core.split_member", table[["condition_id", "fold"]].assign(split_id=split_id))


# --- kinds -----------------------------------------------------------------------------------------------------------


def _by_compound(table: pd.DataFrame, rule: Rule) -> list[str]:
    groups = split_rules.compound_groups(table, rule.level)
    return split_rules.by_group(groups, groups, rule.drawn, rule.seed)


def _by_scaffold(table: pd.DataFrame, rule: Rule) -> list[str]:
    parents = table[["parent_inchikey", "parent_smiles"]].dropna().drop_duplicates("parent_inchikey")
    scaffolds = {key: split_rules.murcko(smiles) for key, smiles in parents.itertuples(index=False, name=None)}
    known = {key: scaffold for key, scaffold in scaffolds.items() if scaffold}
    groups = split_rules.compound_groups(table, rule.level, known)
    return split_rules.by_group(groups, split_rules.compound_groups(table, rule.level), rule.drawn, rule.seed)


def _by_context(table: pd.DataFrame, rule: Rule) -> list[str]:
    return split_rules.by_group(split_rules.context_groups(table), table["context"].tolist(), rule.drawn, rule.seed)


def _by_dataset(table: pd.DataFrame, rule: Rule) -> list[str]:
    owners = table["owner"].tolist()
    return split_rules.by_group(owners, owners, rule.drawn, rule.seed)


def _published(table: pd.DataFrame, rule: Rule) -> list[str]:
    compounds = split_rules.compound_groups(table, rule.level)
    return split_rules.published(compounds, table["context"].tolist(), table["owner"].tolist(), rule.drawn, rule.seed)


def _transfer(table: pd.DataFrame, rule: Rule) -> list[str]:
    compounds = split_rules.compound_groups(table, rule.level)
    return transfer.transfer(compounds, table["owner"].tolist(), rule.drawn, rule.seed)


def _by_attribute(table: pd.DataFrame, _: Rule) -> list[str]:
    return [str(fold) for fold in table["stated"]]


_FOLDS_BY = {
    "compound": _by_compound,
    "scaffold": _by_scaffold,
    "context": _by_context,
    "dataset": _by_dataset,
    "published": _published,
    "transfer": _transfer,
    "attribute": _by_attribute,
}

_CONDITIONS = """
SELECT c.condition_id, d.dataset, coalesce(d.overlap_group, d.dataset) AS owner, x.context, x.parent_context,
    k.inchikey, coalesce(k.parent_inchikey, k.inchikey) AS parent_inchikey,
    coalesce(k.skeleton, left(k.inchikey, 14)) AS skeleton,
    coalesce(k.pubchem_cid, s.given_pubchem_cid) AS pubchem_cid, lower(btrim(s.name)) AS name,
    k.parent_smiles, c.dose_fm, c.time_h, c.stratum,
    nullif(c.attributes->>CAST(:attribute AS text), '') AS stated
FROM core.condition c
JOIN core.dataset d USING (dataset_id)
JOIN core.context x USING (context_id)
JOIN core.source_compound s USING (source_compound_id)
LEFT JOIN core.compound k USING (compound_id)
WHERE NOT c.is_vehicle AND (CAST(:datasets AS text[]) IS NULL OR d.dataset = ANY(CAST(:datasets AS text[])))
AND (:all OR nullif(c.attributes->>CAST(:attribute AS text), '') IS NOT NULL)
ORDER BY c.condition_id"""

_STORED = "SELECT split, kind, parameters, code_version, created_at FROM core.split WHERE split = :name"

_LIST = """
SELECT s.split, s.kind, s.parameters, s.created_at, jsonb_object_agg(f.fold, f.n) FILTER (WHERE f.n > 0) AS folds
FROM core.split s LEFT JOIN (
    SELECT split_id, fold, count(*) AS n FROM core.split_member GROUP BY split_id, fold
) f USING (split_id)
GROUP BY s.split_id ORDER BY s.split"""

_SHOW = """
SELECT m.dataset, m.fold, count(*) AS conditions,
    count(DISTINCT coalesce(m.parent_inchikey, m.inchikey, m.compound_name)) AS compounds,
    count(DISTINCT m.context) AS contexts
FROM pbdb.split_member m WHERE m.split = :name GROUP BY m.dataset, m.fold ORDER BY m.dataset, m.fold"""

_MEMBERS = """
SELECT m.condition_id, m.fold FROM core.split_member m JOIN core.split s USING (split_id) WHERE s.split = :name"""
