"""The processes that train one model together, and what they tell one another.

A launcher (`torchrun`, `accelerate launch`, or `distributed` in a config, see `commands/_launch.py`) starts them and
says in the environment which of them each is. Only the first, rank 0, writes files and talks to the user.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from luke_tasks.errors import DeviceError, Interrupted, LukeTasksError, TrainingError

T = TypeVar("T")
_OF_A_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_ROLL_CALL_SECONDS = 3.0  # that the others have to answer when one of them seems lost
_FIRST_WORD_SECONDS = 60.0  # that rank 0 has to report a fault which every process finds, while they are apart
_NEXT_WORD_SECONDS = 10.0  # the same when they go in step
_HEARING_SECONDS = 3.0  # that rank 0 waits for the others to hear that it has reported an error


class Processes:
    """One process among `world_size`.

    Attributes:
        rank: its number, over all machines.
        local_rank: its number on this machine, which has `local_world_size` of them.
        launched: whether a launcher has started it.
    """

    def __init__(
        self, rank: int = 0, world_size: int = 1, local_rank: int = 0, local_world_size: int = 1, launched: bool = False
    ) -> None:
        self.rank, self.world_size = rank, world_size
        self.local_rank, self.local_world_size, self.launched = local_rank, local_world_size, launched
        self._store: Any = None
        self._parent = os.getppid()

    @classmethod
    def from_environment(cls) -> Processes:
        """As the launcher says; without one, this process is alone."""
        if any(name not in os.environ for name in _OF_A_LAUNCHER):
            return cls()
        try:
            rank, world_size, local_rank = (int(os.environ[name]) for name in _OF_A_LAUNCHER[:3])
            return cls(rank, world_size, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", world_size)), True)
        except ValueError:
            shown = ", ".join(f"{name}={os.environ[name]!r}" for name in _OF_A_LAUNCHER[:3])
            raise LukeTasksError(f"the environment names a process of a launcher wrongly ({shown}): expected numbers; "
                                 "unset these variables, or start by torchrun") from None  # fmt: skip

    @property
    def are_many(self) -> bool:
        """Whether there are others."""
        return self.world_size > 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0

    @property
    def is_orphan(self) -> bool:
        """Whether the launcher of this process has gone."""
        return self.are_many and os.getppid() != self._parent

    def share(self, items: Sequence[T]) -> list[tuple[T, bool]]:
        """This process's share of `items`, every `world_size`-th, and whether each counts.

        All processes get equally many, since each step of one is a step of all. Where the items do not go round, some
        get the last one once more, which does not count.
        """
        rounds = -(-len(items) // self.world_size)
        numbers = range(self.rank, rounds * self.world_size, self.world_size)
        return [(items[min(number, len(items) - 1)], number < len(items)) for number in numbers]

    # -- together ---------------------------------------------------------------------------------------------------

    def join(self, device_type: str, timeout_seconds: int) -> None:
        """Meet the others. Tensors of a GPU go through NCCL, all else through gloo.

        Args:
            device_type: of the training, "cpu" or "cuda".
            timeout_seconds: after so long without an answer, the others are taken for lost.
        Raises:
            ProcessLostError: they do not come.
        """
        if not self.are_many or self._store is not None:
            return
        import torch.distributed as dist

        stores: Any = dist  # torch does not list its stores among what it exports
        if not dist.is_available():
            raise DeviceError("this build of torch has no torch.distributed: training runs in one process here")
        timeout = timedelta(seconds=timeout_seconds)
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")  # a lost process ends the others: no hang
        backend = "gloo" if device_type == "cpu" else "cpu:gloo,cuda:nccl"
        with self.losses_explained():
            dist.init_process_group(backend, timeout=timeout)
            self._store = stores.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)

    def leave(self) -> None:
        """Part from the others, when all is done."""
        if self._store is not None:
            import torch.distributed as dist

            self._store = None
            dist.destroy_process_group()

    def exchange(self, values: Sequence[float]) -> list[list[float]]:
        """What each process says, by rank: equally many numbers from each."""
        if not self.are_many:
            return [list(values)]
        import torch
        import torch.distributed as dist

        own = torch.tensor(values, dtype=torch.float64)
        found = [torch.empty_like(own) for _ in range(self.world_size)]
        dist.all_gather(found, own)
        return [tensor.tolist() for tensor in found]

    def gather(self, value: T) -> list[T] | None:
        """On rank 0 the values of all processes, by rank; None on the others."""
        if not self.are_many:
            return [value]
        import torch.distributed as dist

        found: list[Any] | None = [None] * self.world_size if self.is_main else None
        dist.gather_object(value, found, dst=0)
        return found

    def broadcast(self, value: T) -> T:
        """Rank 0's value."""
        if not self.are_many:
            return value
        import torch.distributed as dist

        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        found: T = box[0]
        return found

    # -- faults -----------------------------------------------------------------------------------------------------

    def is_reported(self, error: Exception) -> bool:
        """Whether this error is in the user's hands, so that this process need not speak of it; on rank 0 it now is.

        The others wait a while for rank 0, which meets most errors as they do. Its launcher then ends them.
        """
        if not self.are_many:
            return False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # there is nothing left to save
        if isinstance(error, ProcessLostError):
            return not error.is_mine_to_say
        if self.is_main:
            self._tell_reported()
            return False
        end = time.monotonic() + (_NEXT_WORD_SECONDS if self._store is not None else _FIRST_WORD_SECONDS)
        while not isinstance(error, Interrupted) and time.monotonic() < end:  # all agree on an interrupt
            if self._is_main_done():
                self._store.add("heard", 1)
                return True
            time.sleep(0.1)
        return isinstance(error, Interrupted)

    @contextmanager
    def losses_explained(self) -> Iterator[None]:
        """While processes work together: the loss of one becomes an error that names it.

        Raises:
            ProcessLostError: for an error of torch.distributed.
        """
        try:
            yield
        except RuntimeError as error:
            if not self.are_many or not _is_of_the_network(error):
                raise
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            lost, is_mine = self._roll_call()
            raise ProcessLostError(f"{lost}; go on from the last checkpoint with the same command and -r (in place of "
                                   f"-f) [{reason}]", is_mine and not self._is_main_done()) from error  # fmt: skip

    def _tell_reported(self) -> None:
        """Of rank 0: that the others may be silent. It stays until they have heard, for its store may go with it."""
        if self._store is not None:
            self._store.set("reported", b"")
            end = time.monotonic() + _HEARING_SECONDS
            while self._store.add("heard", 0) < self.world_size - 1 and time.monotonic() < end:
                time.sleep(0.05)

    def _is_main_done(self) -> bool:
        """Whether rank 0 has reported an error."""
        try:
            return self._store is not None and bool(self._store.check(["reported"]))
        except RuntimeError:  # the store has gone: it is with the launcher, or with rank 0
            return False

    def _roll_call(self) -> tuple[str, bool]:
        """Who does not answer, in words, and whether it is for this process to say so: the first that is left."""
        if self._store is None:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            return f"the {self.world_size} processes could not meet at {where}", True
        try:
            self._store.set(f"here/{self.rank}", b"")
            time.sleep(_ROLL_CALL_SECONDS)
            here = [rank for rank in range(self.world_size) if self._store.check([f"here/{rank}"])]
        except RuntimeError:
            return f"rank {self.rank} of {self.world_size}: rank 0 or the launcher cannot be reached any more", True
        missing = [rank for rank in range(self.world_size) if rank not in here]
        if not missing:
            return f"the {self.world_size} processes have lost one another, though each still runs", self.is_main
        named = f"rank {missing[0]}" if len(missing) == 1 else f"ranks {', '.join(map(str, missing))}"
        return f"{named} of {self.world_size} ended or cannot be reached any more", self.rank == here[0]


class ProcessLostError(TrainingError):
    """Another process has ended, or does not answer.

    Args:
        is_mine_to_say: whether it is for this process to tell the user.
    """

    def __init__(self, message: str, is_mine_to_say: bool) -> None:
        self.is_mine_to_say = is_mine_to_say
        super().__init__(message)


ALONE = Processes()


def rank_named() -> int:
    """The rank of this process as its messages name it: 0 of rank 0, and without a launcher."""
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() and all(name in os.environ for name in _OF_A_LAUNCHER) else 0


def launched_with_others() -> bool:
    """Whether a launcher has started this process as one of several."""
    return all(name in os.environ for name in _OF_A_LAUNCHER) and os.environ["WORLD_SIZE"] not in ("0", "1")


def _is_of_the_network(error: RuntimeError) -> bool:
    """Whether it says that another process did not answer."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error) or "Connection closed by peer" in str(error)
