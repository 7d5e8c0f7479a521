"""Amounts of memory: as a person types them, and what a device has free."""

from explorer.errors import QueryError

_UNITS = {"GIB": 2**30, "MIB": 2**20, "GB": 10**9, "MB": 10**6}


def parse_memory(amount: str | int) -> int:
    """Return an amount of memory in bytes.

    Raises:
        QueryError: it is no amount, or not above 0.

    >>> parse_memory("8GB"), parse_memory("1.5 GiB"), parse_memory(600_000_000)
    (8000000000, 1610612736, 600000000)
    """
    text = str(amount).strip().upper()
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        value = 0.0
    bare = isinstance(amount, str) and not unit
    if bare or isinstance(amount, bool) or not 1 <= value < 2**63:
        raise QueryError(f"memory is an amount such as 8GB or 600MB, not {amount!r}.")
    return int(value)


def free_memory(device: str) -> int | None:
    """Return the bytes that are free on an accelerator; None on the CPU, which sets no limit."""
    import torch

    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.startswith("mps"):
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None
