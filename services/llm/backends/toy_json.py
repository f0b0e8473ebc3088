"""A JSON value that fits a schema, as short as it can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.errors import BadRequest
from services.llm.schemas import referred

MAX_DEPTH = 32


def instance(schema: object, text: str, whole: object = None, depth: int = 0) -> Any:
    """A value for a schema.

    Args:
        schema: JSON schema: const, enum, anyOf, oneOf, $ref inside the schema, and the types.
        text: what strings say.
        whole: the schema that ``$ref`` looks into; this one when it is left out.
        depth: how deep this value stands.

    Raises:
        BadRequest: the schema is not understood.
    """
    whole = schema if depth == 0 else whole
    if depth > MAX_DEPTH:
        raise BadRequest("json_schema: nested too deeply, or it has no end")
    if not isinstance(schema, Mapping):
        return None
    if "const" in schema:
        return schema["const"]
    for name in ("enum", "anyOf", "oneOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            first = schema[name][0]
            return first if name == "enum" else instance(first, text, whole, depth + 1)
    if "$ref" in schema:
        return instance(referred(whole, str(schema["$ref"])), text, whole, depth + 1)
    return _typed(schema, text, whole, depth)


def _typed(schema: Mapping[str, Any], text: str, whole: object, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: instance(properties[name], text, whole, depth + 1) for name in properties}
    if kind == "array":
        return [instance(schema.get("items"), text, whole, depth + 1)] * max(1, int(schema.get("minItems", 1)))
    scalars = {"string": text, "integer": int(schema.get("minimum", 0)), "number": float(schema.get("minimum", 0)),
               "boolean": True, "null": None}  # fmt: skip
    if kind not in scalars:
        raise BadRequest(f"json_schema: '{kind}' is not a type")
    return scalars[kind]
