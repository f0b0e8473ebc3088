"""A conversation becomes a prompt by a template, and a wrong template is refused with its line."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clients.errors import BadRequest, DeadlineExceeded, TooLarge
from clients.llm import Message
from services.llm.templates import render
from services.service import Call

TURNS = [Message("system", "Be short."), Message("user", "hi")]
CHAT = """{%- for message in messages %}
<{{ message.role }}>{{ message['content'] | trim }}
{%- endfor %}
{% if add_generation_prompt %}<assistant>{% if enable_thinking %}<think>{% endif %}{% endif %}"""


def rendered(template: str, timeout_s: float = 10.0, **options: Any) -> str:
    return render(template, TURNS, options, Call(time.monotonic() + timeout_s), {"bos_token": "<s>"})


def test_turns_and_options_are_seen():
    assert rendered(CHAT) == "<system>Be short.<user>hi<assistant>"
    assert rendered(CHAT, enable_thinking=True).endswith("<assistant><think>")


def test_special_tokens_loops_that_break_and_the_date_are_known():
    template = "{{ bos_token }}{% for m in messages %}{% break %}{% endfor %}{{ strftime_now('%Y') | length }}"
    assert rendered(template) == "<s>4"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("a\n{% for m in %}", "wrong in line 2"),
        ("a\n\n{% endfor %}", "wrong in line 3"),
        ("a\n{{ messages[9].content.x }}", "failed at line 2"),
        ("a\n\n{{ raise_exception('only one system message') }}", "failed at line 3: only one system message"),
        ("{{ 1 + 'a' }}", "failed at line 1"),
        ("{{ 1 // 0 }}", "failed at line 1"),
        ("{{ ''.__class__.__mro__ }}", "failed at line 1"),
        ("{% include 'x' %}", "failed at line 1"),
        ("{{ messages.append(1) }}", "failed at line 1"),
        ("{% for i in range(999999) %}{% endfor %}", "failed at line 1"),
    ],
)
def test_a_wrong_template_is_refused_with_its_line(template, words):
    with pytest.raises(BadRequest, match=words):
        rendered(template)


def test_what_the_template_gets_from_us_is_not_an_option():
    with pytest.raises(BadRequest, match="'messages' is not an option"):
        rendered(CHAT, messages=[])


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}"


def test_a_template_without_end_is_given_up():
    with pytest.raises(TooLarge, match="4000000 characters"):
        rendered(ENDLESS)
    with pytest.raises(DeadlineExceeded):
        rendered(ENDLESS, timeout_s=0.0)
