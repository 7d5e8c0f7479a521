"""Memory: what was planned for each released family, recorded so that it can be shown at once.

`benchmarks/decoder_memory.py --write` writes it; `plan` computes it.
"""

import json
from functools import cache
from pathlib import Path as FilePath
from typing import Any

RECORDED = FilePath(__file__).parent / "shared" / "memory.json"


@cache
def recorded_plans() -> dict[str, Any]:
    """Return the plans by the name of the family."""
    plans: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    return plans


def memory_of(name: str) -> str:
    """Return the least GPU and main memory that a family runs in, in words; "" if not planned.

    >>> memory_of("pocket")
    ''
    """
    plan = recorded_plans().get(name)
    if plan is None:
        return ""
    smallest, (whole, in_turn) = plan["smallest"], plan["cpu_gigabytes"]
    way = f" ({plan['ways'][smallest]})" if smallest in plan["ways"] else ""
    less = plan["smallest_int8"]
    int8 = f", or {less} with --weights int8" if less != smallest else ""
    return f"a GPU with {smallest}{way}{int8}; on the CPU {whole} GB, or {in_turn} GB in turn"
