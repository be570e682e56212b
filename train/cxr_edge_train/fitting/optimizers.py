"""The loss on the logit, and the optimizers of both phases of fitting."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from cxr_edge_train.backend.devices import has_accelerator
from cxr_edge_train.recipe import Fit


def compile_model(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile a model for the loss on ``logit``, and build the optimizer's state."""
    compile_for(model, optimizer, {"logit": loss_on_logit()})


def compile_for(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, losses: Mapping[str, Any]
) -> None:
    """Compile a model for losses by the names of its outputs, and build the optimizer's state."""
    # TensorFlow's XLA on a processor was measured 7 times slower for these networks.
    slow = keras.backend.backend() == "tensorflow" and not has_accelerator()
    model.compile(optimizer, loss=dict(losses), jit_compile=False if slow else "auto")
    if not model.optimizer.built:  # or there would be nothing yet to put a snapshot's state into
        model.optimizer.build(model.trainable_variables)


def loss_on_logit() -> keras.losses.Loss:
    """The loss of logits ``[N, 1]`` against labels of 0 and 1."""
    return keras.losses.BinaryCrossentropy(from_logits=True)


def fine_tuning_optimizer(settings: Fit, *, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """AdamW with warm-up and cosine decay, and a moving average of weights if asked for."""
    return keras.optimizers.AdamW(
        _warmup_cosine(settings, steps_per_epoch=steps_per_epoch),
        weight_decay=settings.weight_decay,
        use_ema=settings.weight_average > 0,
        ema_momentum=settings.weight_average,
    )


def _warmup_cosine(
    settings: Fit, *, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = math.ceil(settings.warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, settings.epochs * steps_per_epoch - warmup),
        alpha=0.01,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
