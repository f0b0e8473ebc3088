"""How is a graph written down for the compiler: the text of TPU-MLIR's Top dialect.

The text is all that the compiler needs beside a file of weights, so nothing of the vendor's Python is imported.
A tensor is called by its location; weights are looked up in the file by theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Element = Literal["f32", "si32"]
Attribute = bool | int | float | str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Value:
    """What an operation gives: its reference in the text and its type."""

    reference: str
    type: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A net, written down.

    Attributes:
        module: the text of the dialect.
        exact: operations that are computed in float32 although the others are not.
        narrow_inputs, narrow_outputs: places, from 1 on, of the tensors that come and go in the 16 bits that the chip
            computes in.
        is_apart: its inputs and outputs lie wherever the caller has them, and are not copied (address mode io_alone).
    """

    module: str
    exact: tuple[str, ...] = ()
    narrow_inputs: tuple[int, ...] = ()
    narrow_outputs: tuple[int, ...] = ()
    is_apart: bool = False


class Graph:
    """One net.

    Args:
        name: of the net in the bmodel.
        weight_file: the .npz that the weights are read from, relative to where the compiler runs.
    """

    def __init__(self, name: str, weight_file: str) -> None:
        self._name, self._weight_file = name, weight_file
        self._lines: list[str] = []
        self._arguments: list[Value] = []
        self._weights: dict[str, Value] = {}
        self._exact: list[str] = []
        self._narrow: list[int] = []
        self._kept: list[Value] = []
        self.none = self._line("None", [], "none", (), "")

    def input(self, name: str, shape: Sequence[int], element: Element = "f32") -> Value:
        """An input, in the order of the calls."""
        argument = Value(f"%arg{len(self._arguments)}", tensor(shape, element), tuple(shape))
        self._arguments.append(argument)
        return self._line("Input", [argument], tensor(shape), shape, name)

    def memory(self, name: str, shape: Sequence[int]) -> Value:
        """An input that stays on the device, in 16 bits."""
        value = self.input(name, shape)
        self._narrow.append(len(self._arguments))
        return value

    def keep(self, value: Value) -> None:
        """Give a value out, behind the outputs proper, in 16 bits and to stay on the device."""
        self._kept.append(value)

    def weight(self, name: str, shape: Sequence[int]) -> Value:
        """A tensor of the weight file; asked for twice it is the same."""
        if name not in self._weights:
            self._weights[name] = self._line("Weight", [], tensor(shape), shape, name)
        return self._weights[name]

    def op(self, kind: str, inputs: Sequence[Value], shape: Sequence[int], name: str, **attributes: Attribute) -> Value:
        """An operation of the Top dialect that gives float32 of that shape."""
        return self._line(kind, inputs, tensor(shape), shape, name, **attributes)

    def exactly(
        self, kind: str, inputs: Sequence[Value], shape: Sequence[int], name: str, **attributes: Attribute
    ) -> Value:
        """As ``op``, computed in float32."""
        self._exact.append(name)
        return self.op(kind, inputs, shape, name, **attributes)

    def text(self, *outputs: Value) -> Text:
        """The whole module, with what is kept behind the outputs.

        The compiler calls an output by its location, with ``_f32`` where it was 16 bits wide.
        """
        arguments = ", ".join(f"{value.reference}: {value.type} loc(unknown)" for value in self._arguments)
        given = (*outputs, *self._kept)
        types = ", ".join(value.type for value in given)
        result = types if len(given) == 1 else f"({types})"
        settings = {
            "chip": "ALL", "platform": "LLM", "state": "TOP_F32", "top_run_mode": "STATIC",
            "weight_file": self._weight_file,
        }  # fmt: skip
        said = ", ".join(f'module.{key} = "{value}"' for key, value in settings.items())
        lines = (
            f"module @{self._name} attributes {{{said}}} {{",
            f"  func.func @main({arguments}) -> {result} {{",
            *self._lines,
            f"    return {', '.join(value.reference for value in given)} : {types} loc(unknown)",
            "  } loc(unknown)",
            "} loc(unknown)\n",
        )
        places = tuple(range(len(outputs) + 1, len(given) + 1))
        is_apart = bool(self._kept or self._narrow)
        return Text("\n".join(lines), tuple(self._exact), tuple(self._narrow), places, is_apart)

    def _line(
        self,
        kind: str,
        inputs: Sequence[Value],
        type_: str,
        shape: Sequence[int],
        name: str,
        **attributes: Attribute,
    ) -> Value:
        value = Value(f"%{len(self._lines)}", type_, tuple(shape))
        operands = ", ".join(one.reference for one in inputs)
        types = ", ".join(one.type for one in inputs)
        said = ", ".join(f"{key} = {_attribute(one)}" for key, one in attributes.items())
        place = f'loc("{name}")' if name else "loc(unknown)"
        said = f" {{{said}}}" if said else ""
        self._lines.append(f'    {value.reference} = "top.{kind}"({operands}){said} : ({types}) -> {type_} {place}')
        return value


def tensor(shape: Sequence[int], element: Element = "f32") -> str:
    """The type of a tensor."""
    return f"tensor<{'x'.join(map(str, shape))}x{element}>"


class Int32(int):
    """A whole number that the dialect wants as si32; others are i64."""


def _attribute(value: Attribute) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:.17e} : f64"
    if isinstance(value, int):
        return f"{int(value)} : {'si32' if isinstance(value, Int32) else 'i64'}"
    return f"[{', '.join(map(str, value))}]"
