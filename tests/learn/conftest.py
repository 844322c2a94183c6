"""A planted world in a database, with a model trained on it; linear algebra on one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import new_database
from made_up_compendium import Learnt, write_world
from planted_worlds import Plan, world
from threadpoolctl import threadpool_limits

from pbdb.common.settings import Settings
from pbdb.learn import stored_models, training
from pbdb.learn.splits import store
from pbdb.learn.splits.store import Rule

PLANS = (
    Plan("array", 2, 120, 0.5, 0.4, (1.0, 10.0)),
    Plan("bulk", 1, 100, 1.0, 0.4),
    Plan("cells", 2, 90, 0.9, 0.4),
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine several threads stand in each other's way."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def learnt(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learnt]:
    """The world, the split `held` (transfer, by skeleton), and the model `model`, trained on everything and loaded."""
    place = tmp_path_factory.mktemp("learnt")
    with new_database(database_server, place / "home", template) as settings:
        made = world(11, PLANS, n_compounds=150, n_genes=100, rank=4)
        keys = write_world(settings, made)
        store.make(settings, Rule("transfer", level="skeleton", seed=2), "held")
        training.train(settings, place / "model", training.Choices(rank=8))
        stored_models.load(settings, place / "model")
        yield Learnt(settings, made, keys, place / "model")
