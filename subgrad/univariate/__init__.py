"""Functions of one real variable."""
