"""A planted world written into a database, as effects of default fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from made_up_effects import Made, write
from planted_worlds import World
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.server import connect


@dataclass(frozen=True)
class Learnt:
    """A database with a planted world, its truth, the keys of its compounds, and a model's folder."""

    settings: Settings
    world: World
    keys: list[str]
    model: Path

    def factors(self, key: str) -> np.ndarray:
        """The planted factors of a compound."""
        return self.world.factors[self.keys.index(key)]


def inchikey(number: int) -> str:
    """A key of the right form that no structure has."""
    letters = "".join(chr(65 + byte % 26) for byte in hashlib.sha256(str(number).encode()).digest())
    return f"{letters[:14]}-{letters[14:22]}SA-N"


def write_world(settings: Settings, world: World) -> list[str]:
    """Write every dataset of a world; return the InChIKeys of its compounds, in order."""
    compendium = world.compendium
    keys = [inchikey(i) for i in range(len(compendium.compounds))]
    engine = connect.engine(settings)
    for name in compendium.datasets:
        blocks = [block for block in compendium.blocks if block.dataset == name]
        conditions = pd.concat(
            [
                pd.DataFrame(
                    {
                        "compound": [keys[c] for c in block.compound],
                        "context": block.context,
                        "dose_fm": (block.dose_um * 1e9).astype(np.int64),
                        "time_h": block.time_h,
                    }
                )
                for block in blocks
            ],
            ignore_index=True,
        )
        values = np.concatenate([block.values for block in blocks])
        genes = (blocks[0].genes + 1).astype(np.int32)
        write(engine, Made(name, conditions, genes, values, np.full_like(values, 0.3)))
    _add_structures(settings, keys, compendium.fingerprints)
    return keys


def _add_structures(settings: Settings, keys: list[str], fingerprints: np.ndarray) -> None:
    bits = ["".join(map(str, row)) for row in np.unpackbits(fingerprints, axis=1)]
    with connect.engine(settings).begin() as connection:
        connection.execute(
            text("""UPDATE core.compound c SET fingerprint = CAST(u.bits AS bit(2048)), parent_inchikey = c.inchikey,
                skeleton = left(c.inchikey, 14)
                FROM unnest(CAST(:keys AS text[]), CAST(:bits AS text[])) u (key, bits) WHERE c.inchikey = u.key"""),
            {"keys": keys, "bits": bits},
        )
