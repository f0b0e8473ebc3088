"""The torch backend serves each role with the right class, and says why it does not."""

from __future__ import annotations

import pytest

from clients.config import Model
from clients.errors import ConfigError
from services.llm.backends.registry import Site, backend
from services.models import Card, Shelf


def site(home) -> Site:
    return Site(Shelf(home), 1, home / "cache")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("role", "card", "says"),
    [
        ("embedder", Card("m", "gguf", ("generate",)), "reads safetensors, and 'm' is a gguf model"),
        ("scorer", Card("m", "encoder", ("embed",)), "'m' cannot score pairs"),
        ("generator", Card("m", "encoder", ("embed",)), "'m' does not write"),
    ],
)
def test_a_model_of_another_kind_is_refused(tmp_path, role, card, says):
    pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
    place = tmp_path / "models" / "m"
    place.mkdir(parents=True)
    card.write(place)
    with pytest.raises(ConfigError, match=says) as failure:
        getattr(backend("torch"), role)(Model("m", "torch", device="cpu"), site(tmp_path))
    assert failure.value.help


@pytest.mark.torch
def test_every_role_is_served_from_the_shelf(tmp_path):
    pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
    from . import small_models

    models = tmp_path / "models"
    small_models.decoder(models / "writer", "qwen3")
    small_models.decoder(models / "embedder", "qwen3", is_embedder=True)
    small_models.encoder(models / "encoder", "bert")
    small_models.encoder(models / "crossed", "bert", is_scorer=True)
    torch, here = backend("torch"), site(tmp_path)
    names = {"writer": torch.scorer, "crossed": torch.scorer, "embedder": torch.embedder, "encoder": torch.embedder}
    loaded = [load(Model(name, "torch", device="cpu"), here) for name, load in names.items()]
    loaded.append(torch.generator(Model("writer", "torch", device="cpu", max_tokens=64), here))
    assert [type(model).__name__ for model in loaded] == [
        "YesNoScorer", "TorchCrossEncoder", "TorchEmbedder", "TorchEmbedder", "TorchGenerator",
    ]  # fmt: skip
    for model in loaded:
        model.close()
