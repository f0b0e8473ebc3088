"""How are questions answered: what ragq.yml says for all, and what one caller wants otherwise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from .within import Within


@dataclass(frozen=True, slots=True)
class Ask:
    """How questions are answered.

    Attributes:
        rounds: earlier rounds of the conversation that count.
        top_k: passages that are searched for one answer.
        passages: best passages that go into the prompt.
        answer: ``extractive`` quotes the best sentences, ``written`` lets the generation model write,
            ``auto`` writes unless the model is the small embedded one.
        mode: ``strict`` answers from the documents or not at all; ``helpful`` may add what the model
            knows, and says so.
        fitted: take the thresholds that ``ragq calibrate`` fitted to the collection, where it did.
        threshold: 0 to 1; from this confidence on a question is answered.
        threshold_low: 0 to ``threshold``; below it the collection lacks the answer, between the two a second search
            by words is tried.
        anyway: answer even where the collection lacks the answer; such an answer is marked as not grounded.
        instructions: what a model that writes is told beside its rules, such as a role or a tone.
        absent: what is said where the collection lacks the answer; empty says why, in ragq's words.
        opener: what the page says before the first question; a line in square brackets is a question to click on.
        show_sources: let readers of the page see and open the passages that an answer comes from.
        temperature: of a written answer; 0 takes the likeliest word each time.
        presence_penalty, frequency_penalty: -2 to 2; above 0 a written answer repeats itself less.
    """

    rounds: int = 6
    top_k: int = 8
    passages: int = 4
    answer: Literal["auto", "extractive", "written"] = "auto"
    mode: Literal["strict", "helpful"] = "strict"
    fitted: bool = True
    threshold: float = 0.5
    threshold_low: float = 0.2
    anyway: bool = False
    instructions: str = ""
    absent: str = ""
    opener: str = ""
    show_sources: bool = True
    max_tokens: int = 384
    temperature: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    language: Literal["auto", "en", "zh"] = "auto"


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Fields of ``Ask`` that a caller sets, and the documents that are asked; None leaves one as ragq.yml has it."""

    answer: Literal["auto", "extractive", "written"] | None = None
    mode: Literal["strict", "helpful"] | None = None
    language: Literal["auto", "en", "zh"] | None = None
    rounds: int | None = None
    top_k: int | None = None
    passages: int | None = None
    threshold: float | None = None
    threshold_low: float | None = None
    anyway: bool | None = None
    instructions: str | None = None
    absent: str | None = None
    temperature: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    within: Within | None = None

    def given(self) -> dict[str, Any]:
        """The fields that are set, as `Ragq.ask` takes them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
