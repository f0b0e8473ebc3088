"""What does a causal model read around a query and a document, so that its next word is yes or no.

A prompt is a frame around a body. The three are turned into tokens each for itself and the ids are
joined, as in the reference code of Qwen3-Reranker; so a cut body can never take the frame with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from clients.errors import BadRequest

from .chat_files import ChatFiles

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
TASK = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
# Stands for the body while a chat template is filled in; templates strip white space, but no word.
BODY = "RAGQ-BODY-4f1d"


@dataclass(frozen=True, slots=True)
class Frame:
    """The text before and after a body."""

    prefix: str
    suffix: str


# Qwen/Qwen3-Embedding, README, example of the reranker; the read-out position is the last newline.
QWEN3 = Frame(
    f"<|im_start|>system\n{TASK}<|im_end|>\n<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
QWEN3_TOKENS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
PLAIN = Frame(f"{TASK}\n\n", "\n\nAnswer:\n")


def head_of_body(instruction: str, query: str) -> str:
    """The part of a body that all documents of a query share."""
    return f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>:"


def body(instruction: str, query: str, document: str) -> str:
    """What stands inside the frame; single newlines, as Qwen3-Reranker was trained."""
    return f"{head_of_body(instruction, query)} {document}"


def frame_of(directory: Path, *, is_qwen3: bool) -> Frame:
    """The frame that a model was trained to see.

    It is the model's own chat template, with thinking switched off. A Qwen3 without one, or with one that
    has no place for a user's message, gets the prompt of Qwen3-Reranker; any other model a plain text.

    Args:
        directory: holds ``tokenizer_config.json`` or ``chat_template.jinja``, or neither.
        is_qwen3: the model is a Qwen3 and its tokenizer knows ``QWEN3_TOKENS``.

    Raises:
        BadRequest: the template cannot be read.
    """
    files = ChatFiles(directory)
    found = _filled(files.template, files.special_tokens, directory) if files.template else None
    return found or (QWEN3 if is_qwen3 else PLAIN)


def _filled(template: str, tokens: Mapping[str, str], directory: Path) -> Frame | None:
    """The template around a body; without a system turn where the model has none."""
    in_two = [{"role": "system", "content": TASK}, {"role": "user", "content": BODY}]
    in_one = [{"role": "user", "content": f"{TASK}\n\n{BODY}"}]
    return _render(template, in_two, tokens, directory) or _render(template, in_one, tokens, directory)


def _render(
    template: str, messages: Sequence[Mapping[str, str]], tokens: Mapping[str, str], directory: Path
) -> Frame | None:
    """None when the template refuses the messages, or leaves something out."""
    from jinja2 import TemplateError, TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    try:
        text = environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, enable_thinking=False, **tokens
        )
    except TemplateSyntaxError as error:
        raise BadRequest(f"the chat template of {directory} cannot be read: {error}") from error
    except TemplateError:
        return None
    if text.count(BODY) != 1 or TASK not in text:
        return None
    prefix, suffix = text.split(BODY)
    return Frame(prefix, suffix) if suffix else None


def _refuse(message: str) -> NoReturn:
    """What templates call for messages that they do not take."""
    from jinja2 import TemplateError

    raise TemplateError(message)
