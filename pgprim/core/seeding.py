"""Random numbers by purpose: every use names its purpose and gets its own stream."""

import hashlib

import numpy as np


def derive_seed(*purpose: str | int, bits: int = 31) -> int:
    """A seed that depends on nothing but its purpose.

    Args:
        purpose: What the numbers are for, from the general to the special, e.g. `("train", "hopper", 0, "init")`.
        bits: Size of the seed; environments take 31 bits.

    Returns:
        An integer in [0, 2^bits), from SHA-256 of the purpose, the same on every platform.
    """
    text = "\x1f".join(f"{'str' if isinstance(part, str) else 'int'}:{part}" for part in purpose)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()) >> (256 - bits)


def generator(*purpose: str | int) -> np.random.Generator:
    """A counter-based generator (Philox) for one purpose; streams of different purposes are independent."""
    return np.random.Generator(np.random.Philox(key=derive_seed(*purpose, bits=128)))
