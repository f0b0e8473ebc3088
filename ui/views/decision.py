"""What is said of the decision to answer."""

from __future__ import annotations

from collections.abc import Sequence

from clients.answers import Decision
from clients.index import Hit
from ui.labels import Labels

SAID_CAUSES = ("unsure", "incomplete", "pending")


def decided(decision: Decision, labels: Labels) -> str:
    """Confidence, thresholds and the reason, on one line."""
    return labels(
        "why.decision", confidence=f"{decision.confidence:.2f}", low=f"{decision.t_low:.2f}",
        threshold=f"{decision.threshold:.2f}",
        kind=labels("why.calibrated" if decision.calibrated else "why.default"), reason=reason(decision, labels),
    )  # fmt: skip


def reason(decision: Decision, labels: Labels) -> str:
    """Why it was decided so, in the page's language."""
    is_special = decision.cause in SAID_CAUSES
    why = labels(f"why.cause.{decision.cause}") if is_special else labels(f"why.route.{decision.route}")
    return why + labels("why.share", share=f"{decision.coverage:.0%}")


def absent_reason(decision: Decision, hits: Sequence[Hit], labels: Labels) -> str:
    """Why there is no answer."""
    told = _lacking(decision, hits, labels)
    if decision.num_pending and decision.cause != "pending":
        told = f"{told} {labels('chat.pending', count=decision.num_pending)}"
    return told


def _lacking(decision: Decision, hits: Sequence[Hit], labels: Labels) -> str:
    if decision.cause in ("empty", "incomplete"):
        return labels(f"chat.lacks.{decision.cause}")
    if decision.cause == "pending":
        return labels("chat.lacks.pending", count=decision.num_pending)
    if not hits:
        return labels("chat.absent_nothing")
    numbers = {"confidence": f"{decision.confidence:.2f}", "threshold": f"{decision.threshold:.2f}"}
    return labels("chat.lacks.unsure" if decision.cause == "unsure" else "chat.absent_why", **numbers)
