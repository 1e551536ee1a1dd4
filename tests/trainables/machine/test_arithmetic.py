"""What has no deterministic algorithm is known by name, and nothing else is hidden by that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch

from trainables.machine.arithmetic import ask_for_determinism, multiplies_tf32, undetermined


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    fills = torch.utils.deterministic.fill_uninitialized_memory
    ask_for_determinism()
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = fills


def test_an_operation_without_one_is_named_and_goes_on(deterministic: None) -> None:
    values, names = torch.zeros(4), set[str]()
    with undetermined(names):
        values.put_(torch.tensor([1, 2]), torch.ones(2))  # it is none on any device
        values.add_(1.0)
    assert names == {"put_"}
    assert values.tolist() == [1.0, 2.0, 2.0, 1.0]


def test_other_warnings_are_not_swallowed() -> None:
    names = set[str]()
    with pytest.warns(UserWarning, match="something else"), undetermined(names):
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert not names


CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_multiply_tf32_since_ampere(
    capability: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: capability)
    assert multiplies_tf32(CUDA) == has
    assert not multiplies_tf32(CPU)
