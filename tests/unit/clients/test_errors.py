"""The tree of errors: as drawn, and told apart by code and reason."""

from __future__ import annotations

import inspect
import re

import pytest

from clients import errors
from clients.errors import BY_REASON, MissingExtra, PortBusy, RagqError, rebuild

LINE = re.compile(r"^( +)([A-Z]\w+)  ", re.MULTILINE)


def drawn() -> dict[str, str]:
    """Each class of the docstring's tree, and the class that it hangs from."""
    text = inspect.getdoc(errors) or ""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for indent, name in LINE.findall(text):
        while path and path[-1][0] >= len(indent):
            path.pop()
        parents[name] = path[-1][1] if path else "RagqError"
        path.append((len(indent), name))
    del parents["RagqError"]
    return parents


def classes() -> dict[str, type[RagqError]]:
    found = vars(errors).values()
    return {c.__name__: c for c in found if isinstance(c, type) and issubclass(c, RagqError) and c is not RagqError}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree = {name: next(b.__name__ for b in c.__mro__[1:] if issubclass(b, RagqError)) for name, c in classes().items()}
    assert drawn() | {"ConfigError": "RagqError", "MissingExtra": "RagqError", "PortBusy": "RagqError"} == tree


def test_what_is_marked_so_never_travels() -> None:
    text = inspect.getdoc(errors) or ""
    local = {line.split()[0] for line in text.splitlines() if "never on the wire" in line}
    assert local == {"ConfigError", "MissingExtra", "PortBusy"}
    assert not local & {c.__name__ for c in BY_REASON.values()}


def test_codes_are_grpcs_and_reasons_are_words_in_capitals() -> None:
    for kind in (RagqError, *classes().values()):
        assert 1 <= kind.code <= 16
        assert re.fullmatch(r"[A-Z_]+", kind.reason)


@pytest.mark.parametrize("kind", BY_REASON.values(), ids=lambda kind: kind.__name__)
def test_an_error_is_rebuilt_by_its_reason_whatever_its_code(kind: type[RagqError]) -> None:
    error = rebuild(99, kind.reason, "m", help_text="h", retry_after_s=2.0)
    assert type(error) is kind
    assert (error.message, error.help, error.retry_after_s) == ("m", "h", 2.0)


@pytest.mark.parametrize(
    ("code", "name"),
    [(1, "Cancelled"), (3, "BadRequest"), (4, "DeadlineExceeded"), (5, "NotFound"), (8, "TooLarge"), (13, "Internal"),
     (14, "MeshError"), (2, "RagqError"), (0, "RagqError"), (11, "RagqError")],
)  # fmt: skip
def test_an_unknown_reason_falls_back_to_the_code(code: int, name: str) -> None:
    assert type(rebuild(code, "FROM_A_LATER_VERSION", "m")).__name__ == name


def test_only_what_lies_between_the_two_ends_or_behind_them_is_worth_another_try() -> None:
    retryable = {name for name, kind in classes().items() if kind.retryable}
    between = {"MeshError", "Busy", "OverLimit", "WorkerLost", "ConnectionLost", "Unreachable", "Draining"}
    assert retryable == between | {"DataLoss", "Corrupted", "StoreAway"}


def test_what_no_worker_began_is_known() -> None:
    assert {name for name, kind in classes().items() if kind.never_ran} == {
        "Busy",
        "OverLimit",
        "Unreachable",
        "Draining",
    }


def test_pythons_own_words_catch_them_too() -> None:
    assert issubclass(errors.DeadlineExceeded, TimeoutError)
    assert issubclass(errors.Unreachable, ConnectionError)
    assert issubclass(errors.WorkerLost, ConnectionError)


def test_people_read_what_happened_and_what_to_do() -> None:
    assert str(RagqError("it broke")) == "it broke"
    assert str(RagqError("it broke", help="mend it")) == "it broke\n  mend it"
    assert "pip install 'ragq[gguf]'" in str(MissingExtra("xllamacpp", "gguf"))
    assert "tcp://127.0.0.1:1 is in use" in str(PortBusy("tcp://127.0.0.1:1"))
