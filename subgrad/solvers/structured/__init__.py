"""Certified solutions of sums of atoms with a prox, each of an affine map."""
