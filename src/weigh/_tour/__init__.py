"""The tour: the article's steps, live, and then the learning that it promises.

PyTorch is imported only when the tour runs.
"""

from weigh._tour.parts import Adds, Cell, Closing, Moved, Opening, Part, Step, TourResult, to_json
from weigh._tour.run import run_tour
from weigh._tour.text import show, to_text

__all__ = [
    "Adds",
    "Cell",
    "Closing",
    "Moved",
    "Opening",
    "Part",
    "Step",
    "TourResult",
    "run_tour",
    "show",
    "to_json",
    "to_text",
]
