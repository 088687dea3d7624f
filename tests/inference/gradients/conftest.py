"""Lets the tests of this folder share its models, and `linear_gaussian` of the folder above."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
