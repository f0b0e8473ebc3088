"""The child process that opens foreign files: ``python -m services.index.parse``.

It reads requests from its standard input and writes replies to its standard output, each a length
(4 bytes, little endian) and a msgpack map, so that a hostile file can end this process only.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

import msgpack

from services.index.loaders import Loaded, SeenLine, Unreadable, Unseen, draw, is_installed, load, recognise

LENGTH = struct.Struct("<I")
DAMAGED = "the file is damaged or built to do harm: "
FIX = "open it in an editor or viewer and save it again"


def read_message(stream: BinaryIO) -> dict[str, object] | None:
    """The next message; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size = LENGTH.unpack(head)[0]
    raw = stream.read(size)
    if len(raw) < size:
        return None
    message = msgpack.unpackb(
        raw, raw=False, strict_map_key=False, max_str_len=size, max_bin_len=size, max_array_len=size
    )
    return message if isinstance(message, dict) else None


def write_message(stream: BinaryIO, message: dict[str, object]) -> None:
    """Send a message."""
    raw = msgpack.packb(message, use_bin_type=True)
    stream.write(LENGTH.pack(len(raw)))
    stream.write(raw)
    stream.flush()


def reply_to(request: dict[str, object]) -> dict[str, object]:
    """The text of the request's content with its marks, a picture of a page or its text, or why it has none."""
    try:
        return _answer(request)
    except Unseen as unseen:
        return {"unseen": unseen.pages, "num_pictures": unseen.num_pictures}
    except Unreadable as error:
        return {"reason": error.message, "fix": error.help}
    except MemoryError:
        return {"reason": "the file needs more memory to open than is allowed", "fix": "split it"}
    except Exception as error:  # noqa: BLE001 - the parsers of foreign formats raise anything on damaged files
        return {"reason": f"{DAMAGED}{type(error).__name__}: {error}"[:300], "fix": FIX}


def _answer(request: dict[str, object]) -> dict[str, object]:
    match request:
        case {"content": bytes(content), "name": str(name), "max_pages": int(max_pages), "seen": seen}:
            return _text(load(content, name, max_pages, _seen(seen)))
        case {"content": bytes(content), "read": int(page)}:
            return {"lines": [[line.text, line.height] for line in recognise(content, page)]}
        case {"content": bytes(content), "draw": int(page)}:
            return {"png": draw(content, page)}
    return {"reason": "the parser was asked wrongly", "fix": ""}


def _seen(given: object) -> dict[int, list[SeenLine]] | None:
    """What was recognised so far; None where nothing can be."""
    if not isinstance(given, dict) or not is_installed():
        return None
    return {page: [SeenLine(text, height) for text, height in lines] for page, lines in given.items()}


def _text(loaded: Loaded) -> dict[str, object]:
    return {
        "text": loaded.text.encode("utf-8", "replace"), "media_type": loaded.media_type, "pages": loaded.pages,
        "headings": [[h.start, h.end, h.level, h.title] for h in loaded.headings],
        "blocks": [list(block) for block in loaded.blocks], "is_lines": loaded.is_lines,
    }  # fmt: skip


def _limit(memory_bytes: int, cpu_s: float) -> None:
    """Bound this process; a parser that loops for ever after its parent died ends by itself."""
    if sys.platform == "win32":
        return
    import resource

    # The soft limits only: a hard one could not be raised again for the next file.
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime + cpu_s) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> int:
    """Serve until the parent closes the pipe."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not get between the replies.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (request := read_message(sys.stdin.buffer)) is not None:
        _limit(int(str(request["memory_bytes"])), float(str(request["cpu_s"])))
        write_message(replies, reply_to(request))
    return 0


if __name__ == "__main__":
    sys.exit(main())
