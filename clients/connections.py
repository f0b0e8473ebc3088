"""How a client's lines hang on their sockets, whichever loop waits for those."""

from __future__ import annotations

from .calls import Calls
from .keys import Credential
from .line import Line
from .peer import Peer


def front_peer(address: str, credential: Credential | None) -> Peer:
    """A connection to the front of the proxy at an address."""
    return Peer(address, credential=credential, server_key=credential.front if credential else "")


def look_at(calls: Calls, line: Line, peer: Peer, now: float) -> bool:
    """Tell the calls what became of a line's connection; whether anything did."""
    changes = list(peer.changes())
    for change in changes:
        if change.is_connected:
            calls.connected(line, now)
        elif change.refusal is not None:
            calls.refused(line, change.refusal, now)
        else:
            for frames in peer.receive():  # what came before the connection broke still counts
                calls.heard(line, frames, now)
            calls.disconnected(line, now)
            break
    return bool(changes)
