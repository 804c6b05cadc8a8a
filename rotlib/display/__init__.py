"""Pictures of rotations: one look, drawings by name, and figures that the reader can move."""

from rotlib.display import draw
from rotlib.display.explore import explore, show
from rotlib.display.style import COLORS

__all__ = ["COLORS", "draw", "explore", "show"]
