"""What is one role of a mesh, and the process that fills it at the moment?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from services.launching.home import RoleRecord
from services.processes.children import Child, Exit
from services.processes.logs import LogFile
from services.processes.restart import RestartPolicy


class Stage(IntEnum):
    """When a role starts; they end the other way round, so that whoever calls ends before who answers."""

    STORE = 0
    PROXY = 1
    WORKER = 2
    FACE = 3


def _at_once(_pid: int) -> bool:
    return True


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Role:
    """One process that is to run.

    Attributes:
        part: what a person calls the thing that it belongs to: ``llm``, ``http``.
        is_settled: whether its process with this pid serves by now; asked again and again, may block for a second.
        can_follow: whether a successor could bind what this one had bound, while it still ends.
    """

    name: str
    part: str
    command: tuple[str, ...]
    stage: Stage
    is_settled: Callable[[int], bool] = _at_once
    can_follow: Callable[[], bool] = _never


@dataclass(slots=True)
class Seat:
    """A role and its process of the moment.

    Attributes:
        kill_at: moment when its process, which was asked to end, is killed.
        leaving: the process that was asked to end so that another may follow.
    """

    role: Role
    policy: RestartPolicy
    log: LogFile
    child: Child | None = None
    leaving: Child | None = None
    restart_at: float | None = None
    kill_at: float | None = None
    num_restarts: int = 0
    failure: str = ""
    failure_code: int = 0
    last_exit: Exit | None = None

    @property
    def children(self) -> list[Child]:
        """Its processes that have not ended."""
        return [child for child in (self.leaving, self.child) if child]

    def answers_to(self, name: str) -> bool:
        """Whether somebody who says ``name`` means it: ``llm-2``, all of ``llm``, every ``proxy``."""
        return name in (self.role.name, self.role.part, self.role.stage.name.lower())

    def forget(self, child: Child) -> None:
        """A process of it has ended."""
        self.last_exit = child.exit
        if child is self.child:
            self.child = self.kill_at = None
        else:
            self.leaving = None

    def record(self) -> RoleRecord:
        """For those who ask from outside."""
        why = self.failure or (self.last_exit.reason if self.last_exit else "")
        return RoleRecord(self.role.name, self._state(), self.child.pid if self.child else 0, self.num_restarts, why)

    def _state(self) -> str:
        if self.child:
            return "running"
        if self.leaving:
            return "draining"
        if self.failure:
            return "failed"
        return "waiting" if self.restart_at is not None else "stopped"
