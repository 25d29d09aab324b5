"""Derives named seeds from one root seed.

They are the same in every process and on every machine.
"""

from __future__ import annotations

import hashlib


def derive_seed(root: int, *names: str | int) -> int:
    """Return a seed for the purpose `names` spell.

    It is in [0, 2**31), as of `derive_seed(0, "folds")`.
    """
    spelled = "/".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:4], "big") >> 1
