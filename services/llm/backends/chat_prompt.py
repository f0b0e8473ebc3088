"""Which ids does a request to write become, and what do the ids of an answer say."""

from __future__ import annotations

from pathlib import Path

from clients.errors import BadRequest
from clients.llm import Generate
from services.llm.templates import render
from services.models.json_file import read_map_if_there
from services.service import Call

from .chat_files import ChatFiles


class ChatPrompt:
    """The tokenizer and the template of a model that chats.

    Args:
        directory: of the model.
        name: of the model, for messages.

    Attributes:
        ends: ids that end an answer.

    Raises:
        BadRequest: a file cannot be read.
    """

    def __init__(self, directory: Path, name: str) -> None:
        from tokenizers import Tokenizer

        path = directory / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception for an unreadable file
            raise BadRequest(f"{path} is not a tokenizer: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._files, self._name = ChatFiles(directory), name
        self.ends = _ends(directory)

    def encode(self, request: Generate, call: Call) -> list[int]:
        """The prompt, or the messages in the model's template.

        Raises:
            BadRequest: the prompt is empty, or there is no template for the messages.
        """
        if not request.messages:
            return self._ids(request.prompt, has_specials=True)
        template = request.template or self._files.template
        if not template:
            raise BadRequest(
                f"'{self._name}' has no chat template", help="send a prompt, or a template with the messages"
            )
        text = render(template, request.messages, request.template_options, call, self._files.special_tokens)
        return self._ids(text, has_specials=False)

    def spell(self, ids: list[int]) -> str:
        """The text of ids, without special tokens."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _ids(self, text: str, *, has_specials: bool) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=has_specials).ids
        if not ids:
            raise BadRequest("the prompt is empty")
        return ids


def _ends(directory: Path) -> frozenset[int]:
    """``generation_config.json`` knows more of them than ``config.json``."""
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        ids = read_map_if_there(directory / name).get("eos_token_id")
        found.update(ids if isinstance(ids, list) else [ids] if isinstance(ids, int) else [])
    return frozenset(found)
