"""How does a request for text look to a server, and which of our controls does it have.

Names beyond OpenAI's are those of the documentation of each server. A control that a server would ignore is
refused: an answer that was written by other rules than the asked ones looks right and is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from clients.llm import Generate
from services.llm.controls import JSON, refuse_unsupported, set_controls

from .options import Kind

# Stops beyond these are found in the text as it comes.
MAX_SERVER_STOPS = 4
NEVER = -100
BASIC = frozenset({"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"})
COMMON = BASIC | JSON
SAMPLING = frozenset({"top_k", "min_p", "repetition_penalty", "template_options", "ban_tokens"})
HAS: dict[Kind, frozenset[str]] = {
    "": COMMON | {"ban_tokens"},
    "openai": COMMON | {"ban_tokens"},
    "ollama": COMMON,
    "tei": BASIC,
    "llamacpp": COMMON | SAMPLING,
    "vllm": COMMON | SAMPLING | {"stop_tokens", "template"},
    "sglang": COMMON | SAMPLING | {"stop_tokens"},
    "ragq": BASIC | {"top_k", "repetition_penalty"},
}
NAMES = {
    "stop_tokens": "stop_token_ids",
    "template": "chat_template",
    "template_options": "chat_template_kwargs",
}


def body_of(request: Generate, model: str, kind: Kind, further: Iterable[str] = ()) -> dict[str, object]:
    """The body of ``/chat/completions`` for a conversation, or of ``/completions`` for a prompt.

    Args:
        request: what is asked for.
        model: as the server spells it.
        kind: of server.
        further: controls that this very server is known to have.

    Raises:
        BadRequest: a control that the server does not have.
    """
    refuse_unsupported(request, HAS[kind] | frozenset(further), f"remote ({kind or 'a server of unknown kind'})")
    body: dict[str, object] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        ("max_completion_tokens" if kind == "openai" and request.messages else "max_tokens"): request.max_tokens,
        "temperature": request.temperature,
    }
    if request.messages:
        body["messages"] = [{"role": turn.role, "content": turn.content} for turn in request.messages]
    else:
        body["prompt"] = request.prompt
    for name in set_controls(request):
        body |= _field(name, request, kind)
    return body


def _field(name: str, request: Generate, kind: Kind) -> dict[str, object]:
    if name == "stop":
        return {"stop": request.stop[:MAX_SERVER_STOPS]}
    if name == "ban_tokens":
        return {"logit_bias": {str(token): NEVER for token in request.ban_tokens}}
    if name == "json_schema":
        return {"response_format": _schema(request.json_schema)}
    if name == "format":
        return {} if request.json_schema else {"response_format": {"type": "json_object"}}
    if name == "repetition_penalty" and kind == "llamacpp":
        return {"repeat_penalty": request.repetition_penalty}
    return {NAMES.get(name, name): getattr(request, name)}


def _schema(text: str) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": json.loads(text), "strict": True}}
