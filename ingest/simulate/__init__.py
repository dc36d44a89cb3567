"""A made-up vendor's landing files: deterministic, alive, and wrong where asked to be.

Only what other parts call belongs here: `simulate`, the plants and the cast of a world.
"""

from ingest.simulate.late import deliver_late
from ingest.simulate.plants import PLANTS, Plant
from ingest.simulate.reference_plants import plant_references
from ingest.simulate.run import case_ids, simulate
from ingest.simulate.writer import FORMATS, Format

__all__ = [
    "FORMATS",
    "PLANTS",
    "Format",
    "Plant",
    "case_ids",
    "deliver_late",
    "plant_references",
    "simulate",
]
