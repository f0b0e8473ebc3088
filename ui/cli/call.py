"""How does a person call one method of a service by its name?"""

from __future__ import annotations

import base64
import json
from importlib import import_module
from typing import Any

import click

from clients.errors import BadRequest
from clients.reading import nearest, read
from clients.wire import Method, Nothing

from . import show
from .options import standard_text, trace_option
from .session import Session

CONTRACTS = ("clients.llm", "clients.index", "clients.tuning", "clients.system")


@click.command()
@click.argument("name", metavar="SERVICE.METHOD")
@click.argument("request", default="{}", metavar="[JSON|-]")
@click.option(
    "--timeout", "timeout_s", default=30.0, show_default=True, type=click.FloatRange(0, min_open=True),
    metavar="S", help="Seconds after which nobody waits any more.",
)  # fmt: skip
@trace_option
@click.pass_obj
def call(session: Session, name: str, request: str, timeout_s: float) -> None:
    """Call any method of any service; print the reply as JSON.

    The request is a JSON object with the method's fields, {} without one, or - to read it from
    standard input. The events of a stream are printed as they come, a line each, before the reply.
    """
    service, _, method_name = name.partition(".")
    fields = _fields(standard_text("a JSON object") if request == "-" else request)
    if not method_name:
        raise BadRequest(f"'{name}' names no method", help="write SERVICE.METHOD, such as llm.models")
    with session.mesh(timeout_s) as mesh:
        if service not in mesh.config.enabled_services:
            raise BadRequest(f"no service '{service}' is enabled", help=nearest(service, mesh.config.enabled_services))
        method, is_known = _method(service, method_name)
        message = read(method.request, fields) if is_known else fields
        client = mesh.client(service)
        if method.event is Nothing:
            click.echo(_line(client.call(method, message, timeout_s=timeout_s), indent=2))
            return
        with client.stream(method, message, timeout_s=timeout_s) as events:
            for event in events:
                click.echo(_line(event))
            click.echo(_line(events.reply))


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise BadRequest(
            f"the request is not JSON: {error}", help='write it in quotes: \'{"texts": ["one"]}\''
        ) from None
    if not isinstance(fields, dict):
        raise BadRequest("the request is not a JSON object", help='such as {"texts": ["one"]}')
    return fields


def _method(service: str, name: str) -> tuple[Method[Any, Any, Any], bool]:
    """The method, and whether its contract is one of ours; a foreign one is sent as it is, and may stream."""
    ours = known()
    if name in ours and name.startswith("_sys."):
        return ours[name], True
    full = f"{service}.{name}"
    if full in ours:
        return ours[full], True
    if any(method.service == service for method in ours.values()):
        mine = [method for method in ours if method.startswith(f"{service}.")]
        raise BadRequest(f"'{service}' has no method '{name}'", help=nearest(full, mine))
    return Method(full, object, object, object, idempotent=False), False


def known() -> dict[str, Method[Any, Any, Any]]:
    """Every method of the services that come with ragq, by name."""
    found = (value for module in CONTRACTS for value in vars(import_module(module)).values())
    return {method.name: method for method in found if isinstance(method, Method)}


def _line(value: object, indent: int | None = None) -> str:
    return json.dumps(show.plain(value), ensure_ascii=False, indent=indent, default=_text)


def _text(value: object) -> str:
    """Bytes, which JSON lacks, as base64."""
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a {type(value).__name__} is no JSON")
