"""A torch model finds its device and dtype, and a batch that is too large is halved once."""

from __future__ import annotations

import pytest

from clients.config import Model
from clients.errors import BackendError, ConfigError, TooLarge

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from services.llm.backends.torch.device import Place, place_of  # noqa: E402 - needs torch
from services.llm.backends.torch.passes import run_or_halve  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch
CPU = Place(torch.device("cpu"), torch.float32, threads=2)


def test_the_processor_is_exact_unless_told_otherwise():
    assert place_of(Model("m", device="cpu"), 3) == Place(torch.device("cpu"), torch.float32, 3)
    assert place_of(Model("m", device="cpu", dtype="bf16"), 1).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Model("m", device="gpu"), "no device 'gpu'"),
        (Model("m", device="cuda:99"), "no device 'cuda:99'"),
        (Model("m", device="cpu", dtype="int8"), "no dtype 'int8' on cpu"),
        (Model("m", device="cpu", dtype="fp16"), "no dtype 'fp16' on cpu"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(settings, says):
    with pytest.raises(ConfigError, match=says) as failure:
        place_of(settings, 1)
    assert failure.value.help


def test_a_model_that_does_not_fit_is_refused_with_needed_and_free():
    CPU.check_fits(1000, "the model 'm'")
    with pytest.raises(TooLarge, match=r"the model 'm' needs 1000000\.0 GB on cpu, and [\d.]+ GB are free"):
        CPU.check_fits(10**15, "the model 'm'")


def test_a_pass_uses_one_thread_beside_others_and_all_alone():
    CPU.use_threads(is_alone=True)
    assert torch.get_num_threads() == 2
    CPU.use_threads(is_alone=False)
    assert torch.get_num_threads() == 1


def test_a_batch_that_does_not_fit_goes_in_halves():
    sizes = []

    def run(batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [number * 10 for number in batch]

    assert run_or_halve(run, [1, 2, 3, 4, 5]) == [10, 20, 30, 40, 50]
    assert sizes == [5, 2, 3]


def test_what_does_not_fit_in_halves_either_is_told():
    def run(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    for batch in ([1], [1, 2, 3, 4]):
        with pytest.raises(BackendError, match="out of device memory"):
            run_or_halve(run, batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_chosen_with_bf16_and_takes_arrays():
    import numpy as np

    place = place_of(Model("m"), 1)
    assert (place.device.type, place.dtype) == ("cuda", torch.bfloat16)
    assert place.send(np.arange(3)).sum().item() == 3
