"""What does the generation model write for a prompt?"""

from __future__ import annotations

from typing import Any

import click

from clients.llm import Generation, Message, Prompt, Token
from clients.mesh import Ragq

from . import show
from .options import json_option, standard_text, trace_option
from .session import Session


@click.command()
@click.argument("prompt")
@click.option("--system", default="", help="What the model is told first.")
@click.option("--raw", is_flag=True, help="Continue the prompt as it is, without the model's chat template.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=256, show_default=True, help="Upper bound of new tokens."
)
@click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=click.FloatRange(min=0, max=1), default=1.0, show_default=True, help="Nucleus sampling.")
@click.option("--top-k", type=click.IntRange(min=0), default=0, help="Sample from so many tokens; 0 is all.")
@click.option("--stop", multiple=True, metavar="TEXT", help="Ends the answer and is cut off. May be repeated.")
@click.option("--seed", type=int, help="Makes sampling repeatable.")
@click.option("--model", default="", help="Name of a loaded model; the service's own otherwise.")
@json_option
@trace_option
@click.pass_obj
def generate(
    session: Session, /, prompt: str, system: str, raw: bool, as_json: bool, stop: tuple[str, ...], **controls: Any
) -> None:
    """Generate text from a prompt (- reads standard input), streamed."""
    if raw and system:
        raise click.UsageError("--raw has no system message")
    text = standard_text("a prompt") if prompt == "-" else prompt
    with session.mesh() as mesh:
        _run(mesh, text if raw else _turns(system, text), {**controls, "stop": list(stop)}, as_json=as_json)


def _turns(system: str, text: str) -> list[Message]:
    first = [Message("system", system)] if system else []
    return [*first, Message("user", text)]


def _run(mesh: Ragq, prompt: Prompt, controls: dict[str, Any], *, as_json: bool) -> None:
    with mesh.llm.generate(prompt, stream=True, **controls) as tokens:
        for token in tokens:
            _write(token, quiet=as_json)
        finished = tokens.reply
    if as_json:
        show.document(finished)
        return
    click.echo()
    _note(finished)


def _note(finished: Generation) -> None:
    usage = finished.usage
    times = f"{usage.total_s:.1f} s, first after {usage.first_token_s:.2f} s"
    show.note(f"{finished.model}: {usage.completion_tokens} tokens in {times}, {finished.finish_reason}")


def _write(token: Token, *, quiet: bool) -> None:
    if not quiet:
        click.echo(token.text, nl=False)
