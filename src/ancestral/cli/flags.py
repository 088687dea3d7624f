"""Types that options share."""

from typing import Annotated

from cyclopts import Parameter

__all__ = ["Flag"]

Flag = Annotated[bool, Parameter(show_default=False)]
"""Off unless it is given; there is no word to turn it off."""
