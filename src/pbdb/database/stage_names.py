"""The stages of a load in the order they run: the pipeline, its ledger and `--until` all have them from here."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["extract", "transform", "validate", "effects", "publish", "match"]
STAGES: tuple[Stage, ...] = get_args(Stage)
