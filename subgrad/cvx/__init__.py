"""What cvxpy says: reference solutions and projections. cvxpy is loaded when used."""

from subgrad.cvx.reference import Disagreement, Reference, project, reference

__all__ = ["Disagreement", "Reference", "project", "reference"]
