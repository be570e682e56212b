"""The loss on the logit, and the optimizer."""

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


def optimizer_of(
    settings: Fit, *, steps_per_epoch: int, warmup_epochs: float = 0.0
) -> keras.optimizers.Optimizer:
    """AdamW with cosine decay, and a moving average of weights if asked for.

    Args:
        settings: the section ``[fit]`` of a recipe.
        steps_per_epoch: number of batches in an epoch.
        warmup_epochs: epochs in which the learning rate rises from 0 before it falls.
    """
    warmup = math.ceil(warmup_epochs * steps_per_epoch)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, settings.epochs * steps_per_epoch - warmup),
        alpha=0.01,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=settings.weight_decay,
        use_ema=settings.weight_average > 0,
        ema_momentum=settings.weight_average,
    )
