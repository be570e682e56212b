import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxr_edge_train.fitting.callbacks import Seconds, ValidationMetrics
from cxr_edge_train.runs import EPOCH_METRICS
from tiny_model import tiny_model

LABELS = np.array([0] * 30 + [1] * 100)
PIXELS = np.random.default_rng(0).integers(0, 256, (130, 32, 32, 1)).astype(np.uint8)
LOGITS = (np.random.default_rng(1).normal(size=130) + LABELS).astype(np.float32)


def metrics() -> ValidationMetrics:
    return ValidationMetrics((PIXELS, LABELS))


def test_shares_of_an_epoch_are_counted_at_one_half_and_its_auc_is_exact() -> None:
    measured = metrics().measured(LOGITS)
    called = LOGITS >= 0
    assert tuple(measured) == EPOCH_METRICS
    assert measured["val_accuracy"] == np.mean(called == LABELS)
    assert measured["val_sensitivity"] == np.mean(called[LABELS == 1])
    assert measured["val_specificity"] == np.mean(~called[LABELS == 0])
    assert measured["val_auc"] == pytest.approx(roc_auc_score(LABELS, LOGITS), rel=1e-12)
    assert {type(value) for value in measured.values()} == {float}


def test_validation_loss_weights_both_labels_alike_as_the_training_loss_does() -> None:
    each = np.logaddexp(0, LOGITS) - LABELS * LOGITS
    of_label = [each[label == LABELS].mean() for label in (0, 1)]
    assert metrics().measured(LOGITS)["val_loss"] == pytest.approx(np.mean(of_label), rel=1e-5)
    assert np.mean(each) != pytest.approx(np.mean(of_label), rel=1e-2)


def test_both_losses_are_equal_where_the_same_images_train_and_validate() -> None:
    # One step over all images with a learning rate of 0, without augmentation and dropout.
    from cxr_edge_train.fitting.batches import class_weights
    from cxr_edge_train.fitting.optimizers import compile_model

    model = tiny_model()
    for layer in model._flatten_layers():
        layer.trainable = layer.trainable and not isinstance(layer, keras.layers.BatchNormalization)
    model.get_layer("head_dropout").rate = 0.0
    compile_model(model, keras.optimizers.SGD(0.0))
    logged = model.fit(
        {"image": PIXELS.astype(np.float32)},
        {"logit": LABELS[:, np.newaxis].astype(np.float32)},
        sample_weight={"logit": class_weights(LABELS)},
        batch_size=len(LABELS),
        verbose=0,
        callbacks=[metrics()],
    ).history
    assert logged["val_loss"] == pytest.approx(logged["loss"], rel=1e-5)


def test_epoch_without_a_number_has_no_metrics() -> None:
    for broken in (np.nan, np.inf):
        measured = metrics().measured(np.append(LOGITS[:-1], np.float32(broken)))
        assert np.isnan(list(measured.values())).all()


def test_seconds_of_an_epoch_are_logged() -> None:
    callback, logs = Seconds(), {"loss": 0.5}
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, logs)
    assert 0 <= logs["seconds"] < 60
