"""Learning rates and the choice of the best epoch."""

import torch

from melodai.training.average import WeightAverage
from melodai.training.schedule import Best, CosineSchedule, PlateauSchedule


def optimizer(rate=1.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def test_cosine_rises_in_a_line_and_falls_to_nothing():
    schedule = CosineSchedule(optimizer(), 1.0, warmup=4, epochs=20)
    assert schedule.rate_at(0) == 0
    assert abs(schedule.rate_at(1) - 0.25) < 1e-12
    assert schedule.rate_at(4) == 1.0
    assert abs(schedule.rate_at(12) - 0.5) < 1e-12
    assert schedule.rate_at(20) < 1e-12


def test_the_rate_is_halved_after_the_loss_stood_still_and_survives_a_resume():
    first = optimizer()
    schedule = PlateauSchedule(first, 1.0, patience=2)
    for loss in (1.0, 1.1, 1.1):
        schedule.after_epoch(loss)
    second = optimizer()
    resumed = PlateauSchedule(second, 1.0, patience=2)
    resumed.load_state_dict(schedule.state_dict())
    for each in (schedule, resumed):
        each.after_epoch(1.1)
    assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"] == 0.5


def test_equal_accuracy_with_a_lower_loss_is_better_but_still_stale():
    best = Best()
    assert best.update(1, 0.5, 1.0)
    assert best.update(2, 0.5, 0.9) and best.epoch == 2 and best.stale_epochs == 1
    assert not best.update(3, 0.5, 0.95)
    assert not best.update(4, 0.4, 0.1) and best.stale_epochs == 3
    assert best.update(5, 0.6, 2.0) and best.stale_epochs == 0


def test_the_average_follows_slowly_and_reaches_a_constant():
    network = torch.nn.Linear(2, 2)
    average = WeightAverage(network, decay=0.9)
    before = network.weight.detach().clone()
    with torch.no_grad():
        network.weight += 1
    average.update(network)
    moved = (average.network.weight - before).mean().item()
    assert abs(moved - 0.9) < 1e-6  # first decay (1 + 0) / (10 + 0) = 0.1
    for _ in range(300):
        average.update(network)
    torch.testing.assert_close(average.network.weight.data, network.weight.data)
