"""Marks on the hits of a retrieval test, which go straight into a test set."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.errors import RagqError
from clients.index import Collection, Hit
from clients.testsets import Question, QuestionSet
from ui import session, units
from ui.labels import Labels
from ui.marks import Mark, mark_of, says_something, with_abstaining, with_mark
from ui.parts.banner import failure
from ui.prose import escaped, shortened
from ui.views import marking as view

ICONS: dict[Mark, tuple[str, str]] = {
    "right": (":material/check_circle:", ":green[:material/check_circle:]"),
    "wrong": (":material/cancel:", ":red[:material/cancel:]"),
}
MAX_LISTED = 50
MAX_RUNS = 5


class Marking:
    """The test set that marks go to, as it is now.

    Args:
        collection: what it measures.
        name: of the set; it is made with the first mark.
        questions: what it holds.
    """

    def __init__(self, collection: str, name: str, questions: list[Question]) -> None:
        self.collection = collection
        self.name = name
        self._by_text = {question.text: question for question in questions}

    def question(self, text: str) -> Question | None:
        """The question as the set has it."""
        return self._by_text.get(text)

    def questions(self) -> list[Question]:
        """All of them."""
        return list(self._by_text.values())

    def buttons(self, text: str, hit: Hit, key: str, words: Labels) -> None:
        """Two small ones: this answers the question, this does not."""
        said = mark_of(self.question(text), hit)
        with st.container(horizontal=True, gap="small"):
            for mark, (icon, chosen) in ICONS.items():
                click = session.on_click(partial(self._mark, text, hit, mark))
                st.button(
                    chosen if said == mark else icon, key=f"{mark}-{key}", type="tertiary", on_click=click,
                    help=words(f"marking.{mark}"),
                )  # fmt: skip

    def head(self, text: str, key: str, words: Labels) -> None:
        """What the set has of a question, and a button to say that nothing answers it."""
        held = self.question(text)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                words("marking.absent_back" if held and held.must_abstain else "marking.absent"), key=f"absent-{key}",
                type="tertiary", icon=":material/block:", on_click=session.on_click(partial(self._abstain, text)),
            )  # fmt: skip
            if held:
                st.caption(escaped(view.state(held, self.name, words)), width="content")

    def _mark(self, text: str, hit: Hit, mark: Mark) -> None:
        self._keep(with_mark(self.question(text) or Question(text), hit, mark))

    def _abstain(self, text: str) -> None:
        self._keep(with_abstaining(self.question(text) or Question(text)))

    def _keep(self, question: Question) -> None:
        index = session.desk().mesh.index
        if says_something(question):
            index.add_questions(self.name, [question], self.collection)
        elif self.question(question.text):
            index.delete_questions(self.name, [question.text])


def chosen(collection: Collection, wanted: str, words: Labels) -> Marking | None:
    """Let a person choose or name the test set; None when the sets cannot be read, which is said."""
    try:
        sets = [one for one in session.desk().mesh.index.testsets() if one.collection == collection.name]
    except RagqError as error:
        failure(error, words)
        return None
    names = view.names(sets, wanted, collection, words)
    name = st.selectbox(
        words("marking.set"), names, key=f"marking-set-{collection.name}", accept_new_options=True,
        help=words("marking.set_help"),
    )  # fmt: skip
    return _opened(collection.name, (name or names[0]).strip(), sets)


def _opened(collection: str, name: str, sets: list[QuestionSet]) -> Marking:
    is_there = any(one.name == name for one in sets)
    return Marking(collection, name, session.desk().mesh.index.questions(name) if is_there else [])


def listed(marking: Marking, words: Labels) -> None:
    """The questions of the set and its last runs, folded away."""
    questions = marking.questions()
    if not questions:
        return
    with st.expander(escaped(words("marking.title", name=marking.name, count=len(questions)))):
        for i, question in enumerate(questions[:MAX_LISTED]):
            _listed(marking, question, i, words)
        if len(questions) > MAX_LISTED:
            st.caption(words("marking.more", count=len(questions) - MAX_LISTED))
        st.caption(words("marking.measure"))
        st.code(view.command(marking.name), language="bash")
        _runs(marking.name, words)


def _listed(marking: Marking, question: Question, i: int, words: Labels) -> None:
    left, right = st.columns([8, 1], vertical_alignment="center")
    with left:
        st.button(
            escaped(shortened(question.text, 100)), key=f"retry-question-{i}", type="tertiary",
            help=words("marking.again"), on_click=partial(_again, question.text),
        )  # fmt: skip
        st.caption(escaped(view.told(question, words)))
    delete = partial(session.desk().mesh.index.delete_questions, marking.name, [question.text])
    right.button(
        "", key=f"drop-question-{i}", type="tertiary", icon=":material/delete:", help=words("marking.delete"),
        on_click=session.on_click(lambda: _do(delete)),
    )  # fmt: skip


def _do(delete: partial[QuestionSet]) -> None:
    delete()


def _again(text: str) -> None:
    session.try_question(text)


def _runs(name: str, words: Labels) -> None:
    for run in session.desk().mesh.index.runs(name)[:MAX_RUNS]:
        st.caption(escaped(f"{units.day(run.created_at)} · {view.figures(run, words)}"))
