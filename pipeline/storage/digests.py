"""Makes digests, which tell different data apart.

By them, what one process had is told from what another has.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np


def digest_of(value: Any) -> str:
    """Return the digest of a JSON value.

    The order of keys does not count.
    """
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def digest_of_arrays(*arrays: np.ndarray | None, salt: bytes = b"") -> str:
    """Return 16 hexadecimal digits of the arrays' values.

    The arrays count one after another; None counts for nothing.
    """
    digest = hashlib.blake2b(salt, digest_size=8)
    for array in arrays:
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
