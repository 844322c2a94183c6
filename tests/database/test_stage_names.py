"""The names of stages in the ledger of an older version, and in that of this one."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from pbdb.database import schema
from pbdb.database.models.ledger import EtlRun
from pbdb.database.stage_names import STAGES

ADD = """INSERT INTO core.etl_run (source, dataset, release, stage, status, fingerprint, inputs, dropped, report,
    seconds, peak_mb, code_version) VALUES ('s', 'd', '1', :stage, 'done', 'f', '{}', '{}', '{}', 1, 1, '0')"""


def stages(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT stage FROM core.etl_run ORDER BY etl_run_id")).scalars())


def add(engine: Engine, *names: str) -> None:
    with engine.begin() as connection:
        for name in names:
            connection.execute(text(ADD), {"stage": name})


def test_a_ledger_of_before_is_renamed_and_goes_back(empty_engine: Engine) -> None:
    schema.upgrade(empty_engine)
    schema.downgrade(empty_engine, "0002")
    add(empty_engine, "effects", "load", "match")
    schema.upgrade(empty_engine)
    assert stages(empty_engine) == ["effects", "publish", "match"]
    add(empty_engine, *STAGES)
    with pytest.raises(IntegrityError, match="ck_etl_run_stage"):
        add(empty_engine, "load")
    schema.downgrade(empty_engine, "0002")
    assert stages(empty_engine) == ["effects", "load", "match", *STAGES[:4], "load", "match"]


def test_the_words_of_the_column_are_the_list() -> None:
    assert EtlRun.__table__.columns["stage"].comment == f"{', '.join(STAGES[:-1])} or {STAGES[-1]}"
