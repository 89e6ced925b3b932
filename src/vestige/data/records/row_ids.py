"""Ids of records that have no name of their own."""

import numpy as np


def row_ids(file: str, n: int) -> np.ndarray:
    """Return ids for the records of one of several files: the file's name and the row in it, counted from 0.

    Args:
        file: What tells this file from the others of the data set.
        n: Number of records in it.

    Example:
        >>> row_ids("adult.test", 2).tolist()
        ['adult.test/0', 'adult.test/1']
    """
    return np.char.add(f"{file}/", np.arange(n).astype(np.str_))
