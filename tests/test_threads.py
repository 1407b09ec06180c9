"""Work spread over threads: order, errors, and torch's own number of threads."""

import multiprocessing

import pytest
import torch

from melodai.transforms.threads import run_all


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items():
    assert run_all(lambda i: i * i, range(50)) == [i * i for i in range(50)]


def test_each_piece_keeps_to_one_core_and_leaves_the_callers_threads_alone():
    assert set(run_all(lambda _: torch.get_num_threads(), range(8))) == {1}
    assert torch.get_num_threads() == 2
    assert run_all(lambda _: (torch.randn(600, 600) + 1).shape[0], range(4)) == [600] * 4


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        run_all(lambda i: 1 // i, range(3))


def test_tensors_of_inference_mode_can_be_filled():
    with torch.inference_mode():
        values = torch.zeros(4)
    run_all(lambda i: values[i].fill_(i), range(4))
    assert values.tolist() == [0, 1, 2, 3]


def _in_child(queue) -> None:
    torch.set_num_threads(2)
    queue.put(run_all(lambda i: i + 1, range(4)))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_forked_process_has_threads_of_its_own():
    assert run_all(lambda i: i, range(4)) == [0, 1, 2, 3]
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert queue.get() == [1, 2, 3, 4]
