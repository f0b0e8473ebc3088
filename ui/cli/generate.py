"""What does the generation model write for a prompt?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from clients.llm import Generation, Message, Prompt, Token
from clients.mesh import Ragq

from . import show
from .options import json_option, standard_text, trace_option
from .session import Session

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
@click.option("--min-p", type=click.FloatRange(0, 1), default=0.0, help="Least share of the likeliest token's chance.")
@click.option("--presence-penalty", type=click.FloatRange(-2, 2), default=0.0, help="On tokens that were written.")
@click.option("--frequency-penalty", type=click.FloatRange(-2, 2), default=0.0, help="The same, for each time.")
@click.option(
    "--repetition-penalty", type=click.FloatRange(0.1, 10), default=1.0, help="Divides their logits; 1: none."
)
@click.option("--penalty-decay", type=click.FloatRange(0, 1), default=1.0, help="How penalties fade per token; 1: not.")
@click.option("--stop", multiple=True, metavar="TEXT", help="Ends the answer and is cut off. May be repeated.")
@click.option("--stop-token", "stop_tokens", multiple=True, type=int, metavar="ID", help="The same by its id.")
@click.option("--ban-token", "ban_tokens", multiple=True, type=int, metavar="ID", help="Never written. Repeatable.")
@click.option("--seed", type=int, help="Makes sampling repeatable.")
@click.option("--template", type=READABLE, help="A chat template (Jinja) instead of the model's own.")
@click.option("--thinking", is_flag=True, help="Let a model that can think do so before it answers.")
@click.option("--json-object", is_flag=True, help="Let the model write one JSON object only.")
@click.option("--json-schema", type=READABLE, help="The answer fits this JSON schema.")
@click.option(
    "--beams", type=click.IntRange(0, 16), default=0, help="Width of a beam search, whose answers are all shown."
)
@click.option("--length-penalty", type=float, default=1.0, help="Of beams: above 0 favours longer ones.")
@click.option("--model", default="", help="Name of a loaded model; the service's own otherwise.")
@json_option
@trace_option
@click.pass_obj
def generate(session: Session, /, prompt: str, system: str, raw: bool, as_json: bool, **options: Any) -> None:
    """Generate text from a prompt (- reads standard input), streamed."""
    if raw and (system or options["template"] or options["thinking"]):
        raise click.UsageError("--raw has no system message, no template and no thinking")
    text = standard_text("a prompt") if prompt == "-" else prompt
    with session.mesh() as mesh:
        _run(mesh, text if raw else _turns(system, text), _controls(**options), as_json=as_json)


def _controls(
    *, template: Path | None, thinking: bool, json_object: bool, json_schema: Path | None, beams: int, **same: Any
) -> dict[str, Any]:
    """The controls of a request; those that are called the same pass through."""
    controls = {name: list(value) if isinstance(value, tuple) else value for name, value in same.items()}
    controls |= {"beams": beams, "num_answers": max(1, beams), "format": "json" if json_object else "text"}
    if template:
        controls["template"] = template.read_text(encoding="utf-8")
    if thinking:
        controls["template_options"] = {"enable_thinking": True}
    if json_schema:
        controls["json_schema"] = json_schema.read_text(encoding="utf-8")
    return controls


def _turns(system: str, text: str) -> list[Message]:
    first = [Message("system", system)] if system else []
    return [*first, Message("user", text)]


def _run(mesh: Ragq, prompt: Prompt, controls: dict[str, Any], *, as_json: bool) -> None:
    with mesh.llm.generate(prompt, stream=True, **controls) as tokens:
        for token in tokens:
            _write(token, quiet=as_json or controls["beams"] > 0)
        finished = tokens.reply
    if as_json:
        show.document(finished)
        return
    for beam in finished.beams:
        click.echo(f"{beam.score:8.3f}  {beam.text.strip()}")
    if not finished.beams:
        click.echo()
    _note(finished)


def _note(finished: Generation) -> None:
    usage = finished.usage
    times = f"{usage.total_s:.1f} s, first after {usage.first_token_s:.2f} s"
    pace = f"then {usage.token_s * 1000:.0f} ms each" if usage.token_s else "no second one"
    queue = f", {usage.queue_s:.2f} s of it in the queue" if usage.queue_s >= 0.01 else ""
    show.note(
        f"{finished.model}: {usage.completion_tokens} tokens in {times}{queue}, {pace}"
        f" ({usage.tokens_per_s:.1f} tokens/s), {finished.finish_reason}"
    )


def _write(token: Token, *, quiet: bool) -> None:
    if not quiet:
        click.echo(token.text, nl=False)
