"""Which GPUs could models run on here?"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that torch sees.

    Attributes:
        device: how ragq.yml calls it.
    """

    device: str
    name: str
    free_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.device} {self.name}, {self.free_bytes / 1e9:.1f} of {self.total_bytes / 1e9:.1f} GB free"


def torch_version() -> str:
    """The installed torch; empty without one."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def gpus() -> list[Gpu]:
    """All that torch sees; it is imported for this, and must be installed."""
    import torch

    return [_gpu(number) for number in range(torch.cuda.device_count())]


def _gpu(number: int) -> Gpu:
    import torch

    free, total = torch.cuda.mem_get_info(number)
    return Gpu(f"cuda:{number}", torch.cuda.get_device_name(number), free, total)
