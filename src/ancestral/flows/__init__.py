"""Invertible maps with a known Jacobian, and the distributions they make."""
