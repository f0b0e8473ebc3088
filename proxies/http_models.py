"""Which models and collections does the HTTP face list, and what can each of them do?"""

from __future__ import annotations

from clients.errors import NotFound
from clients.llm import ModelInfo, RoleName
from clients.mesh import Ragq
from clients.models import NOBODY

from . import http_chat
from .http_errors import WrongRole

ABOUT = ("dimension", "min_dimension", "max_tokens", "dtype", "device")


def list_models(mesh: Ragq) -> list[dict[str, object]]:
    """Models by role, then collections, in OpenAI's shape."""
    found: list[dict[str, object]] = []
    if mesh.config.llm.enabled:
        found += _by_name(mesh.llm.models())
    if mesh.config.index.enabled:
        found += [_model(http_chat.collection_id(c.name), int(c.created_at), roles=["ask"], title=c.title)
                  for c in mesh.index.collections()]  # fmt: skip
    return found


def _by_name(models: list[ModelInfo]) -> list[dict[str, object]]:
    """One entry per model; the same one may fill several roles."""
    named: dict[str, list[ModelInfo]] = {}
    for model in (model for model in models if model.name != NOBODY):
        named.setdefault(model.name, []).append(model)
    return [
        _model(name, 0, roles=[info.role for info in infos], status=infos[-1].status, **_about(infos))
        for name, infos in named.items()
    ]


def _about(infos: list[ModelInfo]) -> dict[str, object]:
    """What is known of a model, from whichever role tells it."""
    return {name: value for info in infos for name in ABOUT if (value := getattr(info, name))}


def _model(name: str, created: int, **about: object) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "ragq", "ragq": about}


def no_model(mesh: Ragq, role: RoleName, wanted: str, error: NotFound) -> NotFound:
    """Why a service does not know a model: it has none of that name, or it has it for something else."""
    others = [model.role for model in mesh.llm.models() if model.name == wanted and model.role != role]
    if not others:
        return error
    return WrongRole(
        f"the model '{wanted}' does not {role}; it is there to {others[0]}", help="GET /v1/models tells who does what"
    )
