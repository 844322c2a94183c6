"""What all tables share: naming convention, column types that recur, and the words that describe them."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, ClassVar

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, Double, Integer, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB, REAL, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, mapped_column

from pbdb.common.rows import Json
from pbdb.database.effect_arrays import N_LANDMARKS

SCHEMA = "core"
PARTITIONS = "part"
FINGERPRINT_BITS = 2048

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables; every one lives in schema `core`."""

    metadata = MetaData(schema=SCHEMA, naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        float: Double,
        datetime.datetime: TIMESTAMP(timezone=True),
        Json: JSONB,
        list[str]: ARRAY(Text),
    }


Landmarks = HALFVEC(N_LANDMARKS)
Fingerprint = BIT(FINGERPRINT_BITS)

EMPTY_JSON = text("'{}'::jsonb")
EMPTY_LIST = text("'{}'::text[]")
FALSE = text("false")
TRUE = text("true")
NOW = text("now()")

# Doses are exact integers; the readable number is computed from them. The expression is written as PostgreSQL
# prints it, or the comparison of models and database would see a difference at every run.
DOSE_UM = "(dose_fm)::double precision / '1000000000'::double precision"

CONTENT_KEY = "first 52 bits of SHA-256 over table name and natural key: the same on every machine"

Attributes = Annotated[
    Json,
    mapped_column(server_default=EMPTY_JSON, comment="Further facts the source states, as published, by name"),
]
ContextName = Annotated[str, mapped_column(comment="Readable name of the cells")]
Stratum = Annotated[
    str | None,
    mapped_column(comment="Source-specific stratum fitted on its own (such as percent DMSO); null where none"),
]
TimeH = Annotated[float, mapped_column(comment="Hours of exposure before harvest")]
DoseFm = Annotated[
    int | None,
    mapped_column(comment="Dose in femtomolar, exact; 0 for vehicle; null where no molar dose is known"),
]
Method = Annotated[str, mapped_column(comment="Method of estimation: voom, trend or deseq2")]
Mode = Annotated[
    str,
    mapped_column(comment="pooled: all wells of a condition in one effect; replicate: each treated well its own"),
]
CodeVersion = Annotated[str, mapped_column(comment="Version of pbdb that wrote the row")]
Parameters = Annotated[Json, mapped_column(comment="Every parameter of the computation, by name")]
Log2Fc = Annotated[
    list[float] | None,
    mapped_column(ARRAY(REAL), comment="log2 fold change, condition over vehicle of the same time; up is positive"),
]
StandardError = Annotated[list[float] | None, mapped_column(ARRAY(REAL), comment="Moderated standard error of log2_fc")]
NegLog10P = Annotated[list[float] | None, mapped_column(ARRAY(REAL), comment="-log10 of the two-sided p value")]
NegLog10PAdj = Annotated[
    list[float] | None,
    mapped_column(ARRAY(REAL), comment="-log10 of the p value adjusted over the genes of one effect (BH)"),
]
NegLog10PLimma = Annotated[
    list[float] | None,
    mapped_column(ARRAY(REAL), comment="-log10 of limma's p value, beside p values of counts; else null"),
]
NegLog10PAdjLimma = Annotated[
    list[float] | None,
    mapped_column(
        ARRAY(REAL), comment="-log10 of limma's p value adjusted over the genes of one effect (BH); else null"
    ),
]
InChIKey = Annotated[str | None, mapped_column(comment="InChIKey of the standardised structure")]
PubChemCid = Annotated[int | None, mapped_column(comment="PubChem compound id (CID)")]
RuleVersion = Annotated[
    str | None, mapped_column(comment="Version of the identity rules and chemistry libraries that decided")
]
Smiles = Annotated[str | None, mapped_column(comment="Structure as SMILES")]
GeneKey = Annotated[
    int,
    mapped_column(
        Integer, comment="Integer key of a gene: the number in its Ensembl id (other species: with an offset)"
    ),
]
