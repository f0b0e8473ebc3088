"""What was asked and answered: the finished rounds of every chat."""

from __future__ import annotations

import json

from clients.errors import BadRequest, NotFound
from clients.index import Chat, Turn
from clients.wire import Clock

from .schema import Database

MAX_CHATS = 200


class Chats:
    """Turns on record, by chat."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save(self, turn: Turn) -> None:
        """Keep a turn; the same one sent again, after a lost reply, is kept once."""
        with self._database.write() as tx:
            last = tx.execute(
                "SELECT * FROM turns WHERE chat_id = ? ORDER BY key DESC LIMIT 1", (turn.chat_id,)
            ).fetchone()
            same = last is not None and (last["question"], last["answer"]) == (turn.question, turn.answer)
            if same and turn.created_at in (0.0, last["created_at"]):
                return
            tx.execute(
                """INSERT INTO turns (chat_id, question, answer, collection, created_at, detail)
                VALUES (?, ?, ?, ?, ?, ?)""",
                (
                    turn.chat_id, turn.question, turn.answer, turn.collection,
                    turn.created_at or self._clock(), _json(turn.detail),
                ),
            )  # fmt: skip

    def turns(self, chat_id: str) -> list[Turn]:
        """The rounds of a chat, oldest first; none for an unknown chat."""
        rows = self._database.read().execute("SELECT * FROM turns WHERE chat_id = ? ORDER BY key", (chat_id,))
        return [
            Turn(r["chat_id"], r["question"], r["answer"], r["collection"], r["created_at"], json.loads(r["detail"]))
            for r in rows
        ]

    def chats(self) -> list[Chat]:
        """The newest chats, newest first."""
        rows = self._database.read().execute(
            """SELECT t.chat_id, first.question, first.collection, count(*) AS num_turns,
            max(t.created_at) AS updated_at FROM turns t
            JOIN turns first ON first.key = (SELECT min(key) FROM turns WHERE chat_id = t.chat_id)
            GROUP BY t.chat_id ORDER BY max(t.key) DESC LIMIT ?""",
            (MAX_CHATS,),
        )
        return [Chat(r["chat_id"], r["question"], r["collection"], r["num_turns"], r["updated_at"]) for r in rows]

    def delete(self, chat_id: str) -> None:
        """Forget a chat; NotFound."""
        with self._database.write() as tx:
            if not tx.execute("DELETE FROM turns WHERE chat_id = ?", (chat_id,)).rowcount:
                raise NotFound(f"there is no chat '{chat_id}'")


def _json(detail: dict[str, object]) -> str:
    try:
        return json.dumps(detail, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"detail: only texts, numbers, lists and maps can be kept: {error}") from error
