"""Names of wells that hold no compound: vehicles, controls, and wells that were not treated, in several languages."""

from __future__ import annotations

import re

from pbdb.common.typed_cells import plain

_VEHICLE = re.compile(
    r"\d*(dmso|dimeth?[yi]lsul(f|ph)ox[iy]d[eo]?|vehicle|veh|vehikel|vehicule|vehiculo|solvent|losungsmittel|solvant"
    r"|disolvente){1,2}(only|alone)?(control|ctrl|con|kontrolle|controle|veh|vehicle)?\d*(vv|vol|percent|final)?"
)
_CONTROLS = frozenset(
    {
        "control", "ctrl", "ctlvehicle", "negativecontrol", "negcontrol", "negcon", "negctrl", "kontrolle",
        "negativkontrolle", "controle", "temoin", "testigo", "controllo", "pbs",
    }
)  # fmt: skip
_UNTREATED = frozenset(
    {
        "media", "medium", "mediaonly", "untreated", "notreatment", "nodrug", "nocompound", "none", "blank", "empty",
        "nocells", "cellsonly", "water", "untreatedcontrol", "nontreated", "unbehandelt", "nichtbehandelt",
        "ohnesubstanz", "kulturmedium", "wasser", "leer", "nontraite", "vide", "eau", "sintratar", "sintratamiento",
        "vacio", "agua", "mock", "mocktreated",
    }
)  # fmt: skip


def is_vehicle(text: str) -> bool:
    """Whether a name is that of the vehicle."""
    return _VEHICLE.fullmatch(plain(text)) is not None


def is_vehicle_or_control(text: str) -> bool:
    """Whether a name is that of the vehicle, or of a control that may be it."""
    return is_vehicle(text) or plain(text) in _CONTROLS


def is_untreated(text: str) -> bool:
    """Whether a name says that a well was not treated."""
    return plain(text) in _UNTREATED
