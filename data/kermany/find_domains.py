r"""Give every training film its acquisition domain: the kind of device that seems to have made it.

    python data/kermany/find_domains.py clean_metadata.csv --weights WEIGHTS_FILE \
        -o data/kermany/acquisition_domains.csv

No file records which device made a film. The domains of 224 films, 93 normal and 131 with
pneumonia, were assigned by eye from their markers, margins and tones; a logistic regression on
frozen ImageNet features of the upper corners and of the whole film assigns the others. In
cross-validation it agrees with the eye on 96% of the 224. The 66 normal films that it does not
assign to A were all inspected afterwards: of 24 in B twenty have the large R, of 42 in C about ten
could as well be A. Films of test are never read. The official val films get a domain as well where
they are present.

- ``A`` small R beside the chest, black margins: nearly all normal films, a tenth of pneumonia;
- ``B`` large R in the upper corner, often a burned-in time;
- ``C`` all others: portable and dim films, hazy margins, older children on a bright ground.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.dataset.acquisition_weights import read_domains
from cxr_edge_train.dataset.metadata import DOMAIN_COLUMN, read_metadata
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.defaults import default_cache_dir
from cxr_edge_train.runs import write_table

EYE, PROBE = "eye", "probe"
_SIDE = 224
# Top, bottom, left and right of the parts of a film that are used, pixels.
_PARTS = ((0, 130, 0, 90), (0, 90, 134, 224), (0, 224, 0, 224))
_BATCH = 32
_MIDDLE = "block_6_expand_relu"  # markers are small; the last layers no longer see letters


def features(films: NDArray[np.uint8], weights: Path) -> NDArray[np.float32]:
    """``[N, 3 * 1664]`` frozen features of films ``[N, 224, 224, 1]``."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(_SIDE, _SIDE, 3), include_top=False, weights=str(weights), pooling="avg"
    )
    outputs = [backbone.get_layer(_MIDDLE).output, backbone.output]
    network = keras.Model(backbone.input, outputs)
    found = []
    for start in range(0, len(films), _BATCH):
        batch = films[start : start + _BATCH].astype(np.float32) / 127.5 - 1
        of_parts = []
        for top, bottom, left, right in _PARTS:
            part = np.repeat(batch[:, top:bottom, left:right], 3, axis=-1)
            enlarged = keras.ops.image.resize(part, (_SIDE, _SIDE), interpolation="bicubic")
            middle, last = map(np.asarray, network.predict_on_batch(enlarged))
            of_parts += [middle.mean(axis=(1, 2)), middle.max(axis=(1, 2)), last]
        found.append(np.concatenate(of_parts, axis=1))
    return np.concatenate(found)


def main() -> None:
    """Assign the domains and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2 1.0, no top")
    parser.add_argument("--root", type=Path, help="folder the metadata's paths are relative to")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="CSV to write; holds the films assigned by eye",
    )
    arguments = parser.parse_args()
    table = read_metadata(arguments.metadata)
    table = table[table["split"] != "test"].reset_index(drop=True)
    names = table["path"].map(lambda path: Path(path).name)
    domains = read_domains(arguments.output)
    seen = domains[domains["by"] == EYE].set_index("file")[DOMAIN_COLUMN]
    films = load_pixels(
        table,
        Preprocessor(PreprocessSpec()),
        root=arguments.root or arguments.metadata.parent,
        cache_dir=default_cache_dir(),
    )
    described = features(films, arguments.weights)
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e-3, max_iter=3000, class_weight="balanced")
    )
    known = names.isin(seen.index).to_numpy()
    by_eye = seen[names[known]].to_numpy()
    held_out = cross_val_predict(probe, described[known], by_eye, cv=8)
    print(f"agrees on {np.mean(held_out == by_eye):.1%} of {known.sum()} films assigned by eye")
    probe.fit(described[known], by_eye)
    named = pd.DataFrame({"file": names, DOMAIN_COLUMN: probe.predict(described)})
    named.loc[known, DOMAIN_COLUMN] = by_eye
    named["by"] = np.where(known, EYE, PROBE)
    print(pd.crosstab(table["label"], named[DOMAIN_COLUMN]))
    # What was assigned by eye is not lost because this metadata lacks the film.
    elsewhere = domains[(domains["by"] == EYE) & ~domains["file"].isin(names)]
    named = pd.concat([named, elsewhere[["file", DOMAIN_COLUMN, "by"]]])
    write_table(arguments.output, named.sort_values("file"))


if __name__ == "__main__":
    main()
