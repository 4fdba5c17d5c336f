"""What cvxpy says: reference solutions and projections. Needs the extra `cvxpy`."""

from subgrad.cvx.reference import Disagreement, Reference, project, reference

__all__ = ["Disagreement", "Reference", "project", "reference"]
