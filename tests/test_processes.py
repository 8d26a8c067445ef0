from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from opticdesign.processes import Here, Processes, open_processes


def test_work_here_is_done_when_it_is_submitted() -> None:
    done: list[int] = []
    assert Here().submit(done.append, 3).done() and done == [3]
    with pytest.raises(ZeroDivisionError, match="zero"):
        Here().submit(divmod, 1, 0)
    with open_processes(1, 1) as executor:
        assert executor.submit(os.getpid).result() == os.getpid()


@pytest.mark.slow
def test_new_processes_with_their_threads_take_the_place_of_dead_ones() -> None:
    pool = Processes(2, 1)
    try:
        assert isinstance(pool.submit(os._exit, 1).exception(60), BrokenProcessPool)
        assert pool.submit(torch.get_num_threads).result(60) == 1
        assert pool.submit(os.getpid).result(60) != os.getpid()
    finally:
        pool.shutdown()
