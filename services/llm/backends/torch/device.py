"""Where do a torch model's numbers live, how exact are they, and is there room for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from clients.config import Model
from clients.errors import ConfigError, TooLarge
from services.llm.machine import available_bytes

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Packed tokens of a pass: a processor multiplies larger ones no faster, a GPU is idle below it.
BUDGET_TOKENS = {"cpu": 512, "cuda": 16384}
NUM_CUDA_STREAMS = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the number format of a model there.

    Attributes:
        threads: processor threads that a model may use; on a GPU they only feed it.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int = 1

    @property
    def is_cuda(self) -> bool:
        """Whether it is a GPU."""
        return bool(self.device.type == "cuda")

    @property
    def budget_tokens(self) -> int:
        """Packed tokens of one forward pass."""
        return BUDGET_TOKENS[self.device.type]

    @property
    def num_streams(self) -> int:
        """Forward passes at a time: on a GPU the second copies while the first computes."""
        return NUM_CUDA_STREAMS if self.is_cuda else self.threads

    def use_threads(self, *, is_alone: bool) -> None:
        """Give the passes of the calling thread every processor thread, or one."""
        if not self.is_cuda:
            torch.set_num_threads(self.threads if is_alone else 1)

    def send(self, values: np.ndarray) -> Any:
        """The array on the device; to a GPU through pinned memory and without waiting."""
        tensor = torch.from_numpy(values)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.is_cuda else tensor

    def settle(self) -> None:
        """Wait until what was begun has arrived: streams of other threads do not wait for the one that began it."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def free_bytes(self) -> int:
        """Memory for a model; 0 when the system does not tell."""
        if self.is_cuda:
            return int(torch.cuda.mem_get_info(self.device)[0])
        return available_bytes()

    def check_fits(self, num_bytes: int, what: str) -> None:
        """Raise TooLarge when there is no room for ``num_bytes``; says what is needed and what is free."""
        free = self.free_bytes()
        if free and num_bytes > free:
            raise TooLarge(
                f"{what} needs {num_bytes / 1e9:.1f} GB on {self.device}, and {free / 1e9:.1f} GB are free",
                help="choose a smaller model, a shorter max_tokens or another device",
            )


def place_of(settings: Model, threads: int) -> Place:
    """The place that a model's settings name.

    ``auto`` is the first GPU where there is one, with bf16; else the processor with fp32, which is exact.

    Raises:
        ConfigError: no such device here, or a dtype that the device has no use for.
    """
    device = _device(settings.device)
    dtype = settings.dtype
    if dtype == "auto":
        dtype = "bf16" if device.type == "cuda" else "fp32"
    if dtype not in DTYPES or (dtype == "fp16" and device.type == "cpu"):
        known = "fp32, bf16" + (", fp16" if device.type == "cuda" else "")
        raise ConfigError(f"the torch backend has no dtype '{dtype}' on {device}", help=f"known: {known}")
    return Place(device, DTYPES[dtype], threads)


def _device(name: str) -> Any:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ConfigError(f"no device '{name}'", help="known: auto, cpu, cuda, cuda:1 and so on")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device(name)
    number = int(name.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise ConfigError(
            f"there is no device '{name}': torch {torch.__version__} sees {torch.cuda.device_count()} GPUs",
            help="ragq doctor shows what torch sees; device: cpu always works",
        )
    return torch.device("cuda", number)
