import pytest

from cxr_edge_train.fitting.optimizers import compile_model, fine_tuning_optimizer
from cxr_edge_train.recipe import Fit
from tiny_model import tiny_model


def rates(settings: Fit) -> list[float]:
    schedule = fine_tuning_optimizer(settings, steps_per_epoch=10)._learning_rate
    return [float(schedule(step)) for step in range(10 * settings.epochs + 1)]


def test_learning_rate_rises_to_the_peak_and_falls_to_a_hundredth() -> None:
    found = rates(Fit(epochs=4, learning_rate=1e-2, warmup_epochs=0.5))
    assert found[0] == 0
    assert max(found) == found[5] == pytest.approx(1e-2)
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[-1] == pytest.approx(1e-4)


def test_without_a_warm_up_it_begins_at_the_peak() -> None:
    found = rates(Fit(epochs=4, learning_rate=1e-2, warmup_epochs=0.0))
    assert found[0] == max(found) == pytest.approx(1e-2)


def test_weights_are_averaged_where_the_recipe_says_so() -> None:
    assert not fine_tuning_optimizer(Fit(), steps_per_epoch=10).use_ema
    optimizer = fine_tuning_optimizer(Fit(weight_average=0.9), steps_per_epoch=10)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.9)


def test_compiled_optimizer_has_its_state_before_the_first_step() -> None:
    model = tiny_model()
    compile_model(model, fine_tuning_optimizer(Fit(), steps_per_epoch=10))
    assert model.optimizer.built
