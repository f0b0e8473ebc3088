"""Is the mesh well, and what can a person do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clients.asking import Ask
from clients.llm import ModelInfo
from clients.rag import SMALL_MODELS
from clients.status import ServiceStatus
from ui.labels import Labels

Color = Literal["green", "orange", "red"]
_WORST = ("down", "draining", "starting", "ready")
_COLORS: dict[str, Color] = {"down": "red", "draining": "orange", "starting": "orange", "ready": "green"}


@dataclass(frozen=True, slots=True)
class Health:
    """The dot in the sidebar, and a line for each service."""

    color: Color
    text: str
    rows: list[str]


@dataclass(frozen=True, slots=True)
class Banner:
    """What happened and what to do."""

    text: str
    fix: str
    is_error: bool = True


def health(services: Sequence[ServiceStatus], labels: Labels) -> Health:
    """The worst state of all, in words."""
    worst = min((service.state for service in services), key=_WORST.index, default="down")
    return Health(_COLORS[worst], labels(f"health.{worst}"), [_row(service, labels) for service in services])


def _row(service: ServiceStatus, labels: Labels) -> str:
    row = labels(
        "health.row", service=labels.word("service", service.service), state=labels(f"health.state_{service.state}"),
        workers=len(service.workers), queued=service.queued,
    )  # fmt: skip
    return f"{row} · {service.note}" if service.note else row


def state_of(services: Sequence[ServiceStatus], name: str) -> str:
    """The state of one service; ``down`` when it is not among them."""
    return next((service.state for service in services if service.service == name), "down")


def banner(services: Sequence[ServiceStatus], name: str, labels: Labels) -> Banner | None:
    """What to say about a service that is not ready; None when it is."""
    state = state_of(services, name)
    if state == "ready":
        return None
    fix = "banner.down_fix" if state == "down" else "banner.starting_fix"
    text = labels(f"banner.{state}", service=labels.word("service", name))
    return Banner(text, labels(fix), is_error=state == "down")


def badges(models: Sequence[ModelInfo], ask: Ask, labels: Labels) -> list[str]:
    """Which models work behind the page, a short line each."""
    if not models:
        return [labels("app.models_unknown")]
    ready = {model.role: model.name for model in models if model.status == "ready"}
    writer = writer_of(models, ask)
    lines = [labels("app.writer", name=writer) if writer else labels("app.writer_none")]
    if "embed" in ready:
        lines.append(labels("app.embedder", name=ready["embed"]))
    return lines


def writer_of(models: Sequence[ModelInfo], ask: Ask) -> str:
    """The model that writes answers, as ``ask`` decides it; empty when sentences are quoted."""
    ready = next((model.name for model in models if model.role == "generate" and model.status == "ready"), "")
    if ask.answer == "extractive" or (ask.answer == "auto" and ready.startswith(SMALL_MODELS)):
        return ""
    return ready
