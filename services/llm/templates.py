"""Which prompt do the turns of a conversation make, by a chat template in Jinja."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from clients.errors import BadRequest, TooLarge
from clients.llm import Message
from services.service import Call

MAX_PROMPT_CHARS = 4_000_000
RESERVED = frozenset({"messages", "add_generation_prompt"})


def render(
    template: str, messages: Sequence[Message], options: Mapping[str, object], call: Call, tokens: Mapping[str, str]
) -> str:
    """The prompt.

    Args:
        template: Jinja, as in tokenizer_config.json: sees ``messages``, ``add_generation_prompt``,
            ``raise_exception`` and ``strftime_now``.
        messages: the turns.
        options: further variables, such as ``enable_thinking``.
        call: looked at between the parts of the prompt.
        tokens: the model's special tokens, such as ``bos_token``.

    Raises:
        BadRequest: the template is wrong, or refuses the conversation; names the line.
        TooLarge: what it writes has no end.
    """
    if taken := RESERVED & options.keys():
        raise BadRequest(f"template_options: '{min(taken)}' is not an option")
    turns = [{"role": turn.role, "content": turn.content} for turn in messages]
    values: dict[str, Any] = {**tokens, **options, "messages": turns, "add_generation_prompt": True}
    parts: list[str] = []
    num_chars = 0
    try:
        for part in _compiled(template).generate(values):
            call.check()
            num_chars += len(part)
            if num_chars > MAX_PROMPT_CHARS:
                raise TooLarge(f"the template writes more than {MAX_PROMPT_CHARS} characters")
            parts.append(part)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise BadRequest(f"the chat template failed at line {_line(error)}: {error}") from error
    return "".join(parts)


@lru_cache(maxsize=32)
def _compiled(template: str) -> Template:
    """As transformers compiles them: blocks leave no blank lines, loops may break."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    try:
        return environment.from_string(template)
    except TemplateSyntaxError as error:
        raise BadRequest(f"the chat template is wrong in line {error.lineno}: {error.message}") from error


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _line(error: BaseException) -> int:
    """The line of the template where it failed: Jinja's traceback tells the template's lines."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
