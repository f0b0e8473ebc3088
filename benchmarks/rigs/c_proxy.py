"""The proxy in C that ours is compared with: ``python -m benchmarks.rigs.c_proxy FRONT BACK``."""

from __future__ import annotations

import sys

import zmq

from clients import sockets


def main(front: str, back: str) -> None:
    dealer = sockets.opened(zmq.DEALER, 0)
    dealer.bind(back)
    zmq.proxy(sockets.router(front), dealer)


if __name__ == "__main__":
    main(*sys.argv[1:3])
