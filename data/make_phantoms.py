"""Draw schematic frontal chest radiographs of made-up bodies: the samples, or a whole data set.

Real patients' films may not be shipped, so a simple 3-D child is projected along parallel rays.
Axes in cm: x to the image's right (the patient's left), y towards the chest's front, z down from
the top edge. Nothing is fitted to a real film or to a classifier: a sketch, not a test set.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]  # as an image: (rows, columns)
Point = tuple[float, float, float]  # x, y, z in cm
Points = Sequence[Point] | Floats  # (points, 3) in cm

# Attenuation in 1/cm at 60 keV, a usual effective energy of a chest beam: NIST SRD 126
# (Hubbell & Seltzer 2004, ICRU-44 tissues) mu/rho times density. Air is taken as 0.
MU_SOFT = 0.2048 * 1.06
MU_CORTICAL = 0.3148 * 1.92
MU_LUNG = 0.2053 * 0.26  # density of the lung at full inspiration
MU_SPONGY = 0.75 * MU_SOFT + 0.25 * MU_CORTICAL  # marrow, a quarter of its volume mineralised

FIELD_CM = (25.6, 22.5)  # width and height of the exposed field: a school child's chest
WIDTH_PX = 1024
STEP_PX = 1.6  # spacing along tubes
THINNEST_VESSEL_CM = 0.05
MISS = -1e6  # span of a ray past its solid: leaves long before it enters
JPEG_QUALITY = 92

# A data set's films: small, for a small network; each cut by its own framing from a wider picture.
DATASET_PX = 160
CUT_OFF = 0.24  # most of a side that is lost so
FILMS_A_PATIENT = 3
# Patients by the data set's own folder and kind, so many that validation gets 100 films with
# opacities: with fewer no conversion calls recall checked.
PATIENTS = {
    "train": {"normal": 90, "bacteria": 110, "virus": 100},
    "test": {"normal": 8, "bacteria": 6, "virus": 6},
}

PHOTONS = 6.0e4  # per pixel without a body; leaves some 7000 behind the heart
READOUT_NOISE = 12.0  # photons, standard deviation: small beside the shot noise
SCATTER_GAIN = 0.6  # with a grid: 30 % of the dose behind the lungs, 45 % behind the heart
SCATTER_CM = 3.0  # standard deviation of the scatter's spread
DETECTOR_CM = 0.022  # standard deviation of focal spot and phosphor together
LOCAL_CM = 1.6  # scale of the contrast boost that digital radiography systems apply
LOCAL_GAIN = 0.7
MID_LOG = -2.15  # ln(exposure) shown as mid grey
FILM_SLOPE = 1.75  # steepness of the film curve there


@dataclass(frozen=True)
class Opacity:
    """A ragged patch in which `fill` (0 to 1) of the aerated lung has become soft tissue; cm."""

    x: float
    z: float
    half_width: float
    half_height: float
    fill: float


@dataclass(frozen=True)
class Anatomy:
    """One body; lengths in cm, positions as in the module's axes."""

    seed: int
    cage: float = 9.7  # inner half-width of the chest at its widest
    apex_z: float = 3.6
    dome_z: tuple[float, float] = (16.0, 16.9)  # tops of the right and left diaphragm
    heart: tuple[float, float] = (4.7, 3.5)  # long and short half-axes
    heart_tilt: float = 0.75  # radians of the long axis below the horizontal
    rib_drop: float = 5.2  # from a rib's head to its front end
    wall: float = 1.5  # muscle and fat outside the ribs
    opacities: tuple[Opacity, ...] = ()


class Film:
    """The pixel grid and the line integral of attenuation (dimensionless) on it."""

    def __init__(self, width_px: int) -> None:
        """Make an empty film `width_px` wide, as high as FIELD_CM asks."""
        self.pixel = FIELD_CM[0] / width_px
        rows = round(FIELD_CM[1] / self.pixel)
        self.x = ((np.arange(width_px) + 0.5) * self.pixel - FIELD_CM[0] / 2)[None, :]
        self.z = ((np.arange(rows) + 0.5) * self.pixel)[:, None]
        self.total: Floats = np.zeros((rows, width_px))

    def inside(self, margin: Floats) -> Floats:
        """Coverage 0 to 1 of pixels whose centres lie `margin` cm inside an edge."""
        covered: Floats = np.clip(0.5 + margin / self.pixel, 0.0, 1.0)
        return covered

    def tube(self, path: Points, radius: float, mu: float, onto: Floats | None = None) -> None:
        """Add `mu` times the chords of a tube along `path` to an image, by default the total.

        Each step ds lays down a disc ds thick: across a tube in the film's plane the discs add up
        to its chord 2*sqrt(r^2 - d^2), and one that points at the detector keeps its mass.
        """
        target = self.total if onto is None else onto
        points = np.asarray(path, dtype=np.float64)
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        count = max(2, round(along[-1] / (STEP_PX * self.pixel)))
        where = (np.arange(count) + 0.5) * along[-1] / count
        reach = radius + self.pixel
        for x, z in zip(
            *(np.interp(where, along, points[:, axis]) for axis in (0, 2)), strict=True
        ):
            left, right = np.searchsorted(self.x[0], (x - reach, x + reach))
            top, bottom = np.searchsorted(self.z[:, 0], (z - reach, z + reach))
            away = np.hypot(self.x[:, left:right] - x, self.z[top:bottom] - z)
            disc = self.inside(radius - away) * (mu * along[-1] / count)
            target[top:bottom, left:right] += disc

    def bone(self, path: Points, radius: float, cortex: float) -> None:
        """Put spongy bone in a shell `cortex` cm thick along `path` and its mirror image."""
        for side in (-1, 1):
            mirrored = np.multiply(path, (side, 1, 1))
            self.tube(mirrored, radius, MU_CORTICAL - MU_SOFT)
            self.tube(mirrored, radius - cortex, MU_SPONGY - MU_CORTICAL)

    def ellipsoid(self, centre: Point, axes: Point, tilt: float = 0.0) -> Floats:
        """Return the span of an ellipsoid (half-axes x, y, z) turned by `tilt` radians in x-z."""
        dx, dz = self.x - centre[0], self.z - centre[2]
        u = (dx * np.cos(tilt) + dz * np.sin(tilt)) / axes[0]
        v = (dz * np.cos(tilt) - dx * np.sin(tilt)) / axes[2]
        return span(centre[1], axes[1] * np.sqrt(np.maximum(0.0, 1 - u**2 - v**2)))


def span(depth: float, half: Floats) -> Floats:
    """Return where rays cross a solid `half` cm either side of `depth`: (-enter, leave) in cm.

    The sign makes np.minimum intersect two spans and np.maximum join two touching ones.
    """
    return np.where(half > 0, np.stack([half - depth, half + depth]), MISS)


def length(crossed: Floats) -> Floats:
    """Return the path length (cm) of a span, 0 where it is empty."""
    inside: Floats = np.maximum(0.0, crossed[0] + crossed[1])
    return inside


def blur(image: Floats, sigma_px: float) -> Floats:
    """Return the Gaussian blur of `image` (any unit), its edges repeated outwards."""
    pad = int(3 * sigma_px) + 1
    padded = np.pad(image, pad, mode="edge")
    fz, fx = np.fft.fftfreq(padded.shape[0])[:, None], np.fft.rfftfreq(padded.shape[1])[None, :]
    gain = np.exp(-2 * (np.pi * sigma_px) ** 2 * (fx**2 + fz**2))
    return np.fft.irfft2(np.fft.rfft2(padded) * gain, s=padded.shape)[pad:-pad, pad:-pad]


def cage_profile(body: Anatomy, z: float | NDArray[np.floating]) -> Floats:
    """Return the chest's width at height z (cm) relative to its widest, 0 at the apex."""
    widest_z = body.dome_z[0] - 1.0
    rise = np.clip((widest_z - z) / (widest_z - body.apex_z), 0.0, 1.0)
    profile: Floats = np.sqrt(1 - rise**2.2)
    return profile


def trunk_length(film: Film, body: Anatomy) -> Floats:
    """Return soft tissue along each ray (cm) as if trunk, neck and arms were solid."""
    width = body.cage * (0.86 + 0.14 * cage_profile(body, film.z)) + body.wall
    depth = 13.6 / (1 + np.exp(-(film.z - 2.6) / 0.9)) + 0.05 * film.z
    trunk = depth * np.maximum(0.0, 1 - np.abs(film.x / width) ** 2.6) ** (1 / 2.6)
    limbs: Floats = np.zeros_like(film.total)
    film.tube([(0.0, 0.0, -6.0), (0.0, 0.0, 4.0)], 3.3, 1.0, limbs)
    for side in (-1, 1):
        joint, elbow = (body.cage + 2.2, 0.0, 5.2), (body.cage + 5.4, 0.0, 15.0)
        film.tube(np.multiply([(3.0, 0.0, 3.9), joint, elbow], (side, 1, 1)), 2.9, 1.0, limbs)
    solid: Floats = (trunk**4 + limbs**4) ** 0.25  # a rounded maximum: flesh has no creases
    return solid


def lung_length(film: Film, body: Anatomy, side: int) -> Floats:
    """Return aerated lung along each ray (cm); `side` is -1 for the patient's right, 1 left."""
    profile = cage_profile(body, film.z)
    medial = 0.8  # x of the inner edge at the widest; the mediastinum covers it
    centre = side * (3.4 * (1 - profile) + (body.cage + medial) / 2 * profile)
    half = np.maximum(1e-6, (body.cage - medial) / 2 * profile)
    flank = np.maximum(0.0, 1 - np.abs((film.x - centre) / half) ** 2.4) ** (1 / 2.4)
    lung = span(0.0, 4.3 * profile**0.7 * flank)
    solids = [
        film.ellipsoid((1.5, 1.2, 13.4), (body.heart[0], 3.6, body.heart[1]), body.heart_tilt),
        film.ellipsoid((-0.5, 0.8, 13.2), (2.3, 3.0, 3.4)),  # right atrium
        film.ellipsoid((1.7, -0.8, 7.9), (1.15, 1.6, 1.2)),  # aortic arch
        film.ellipsoid((1.6, 0.5, 9.9), (1.3, 1.6, 1.5)),  # pulmonary trunk
        film.ellipsoid((0.0, -0.5, 11.0), (2.0, 4.0, 14.0)),  # spine's front, great vessels
    ]
    middle = reduce(np.maximum, solids)
    top = body.dome_z[(side + 1) // 2]
    height = 5.6  # from the dome's top to where it is widest
    rise = np.maximum(0.0, (top + height - film.z) / height)
    across = (film.x - side * (body.cage / 2 + 0.25)) / (body.cage / 2 + 0.2)
    dome = span(0.0, 5.6 * np.sqrt(np.maximum(0.0, 1 - rise**2 - across**2)))
    kept = length(lung)
    for solid in (middle, dome):
        kept = kept - length(np.minimum(lung, solid))
    return kept + length(np.minimum(np.minimum(lung, middle), dome))  # was taken off twice


def vessel_paths(
    rng: np.random.Generator, start: Floats, angle: float, radius: float, thinnest: float
) -> Iterator[tuple[Floats, float]]:
    """Yield (path, radius) of a vessel and all its branches, down to the radius `thinnest`."""
    extent = 5.0 * radius**0.6 * rng.uniform(0.7, 1.2)
    bend = angle + rng.normal(0.0, 0.18)
    ahead = [(np.cos(a), rng.normal(0.0, 0.4), np.sin(a)) for a in (angle, bend)]
    path = start + np.cumsum([np.zeros(3), *(extent / 2 * np.array(ahead))], axis=0)
    yield path, radius
    if radius > thinnest:
        for turn in (-1, 1):
            fork = bend + turn * rng.uniform(0.15, 0.6)
            narrower = radius * rng.uniform(0.62, 0.82)
            yield from vessel_paths(rng, path[-1], fork, narrower, thinnest)


def add_lungs(film: Film, body: Anatomy) -> None:
    """Replace soft tissue by lungs with their vessels and the body's opacities."""
    rng = np.random.default_rng([body.seed, 0])
    thinnest = max(THINNEST_VESSEL_CM, film.pixel / 2)  # what a small film cannot show takes long
    white = rng.standard_normal(film.total.shape)
    grains = [blur(white, size / film.pixel) for size in (0.18, 0.7)]
    ragged = sum(grain / grain.std() for grain in grains)
    solid: Floats = np.zeros_like(film.total)
    for patch in body.opacities:
        u, v = (film.x - patch.x) / patch.half_width, (film.z - patch.z) / patch.half_height
        edge = 0.5 - 0.5 * np.tanh((u**2 + v**2 - 1 + 0.2 * ragged) / 0.8)
        solid = 1 - (1 - solid) * (1 - patch.fill * edge)
    for side in (-1, 1):
        vessels: Floats = np.zeros_like(film.total)
        hilum = np.array([side * 2.0, 0.0, 9.9 - 0.4 * side])  # the left hilum stands higher
        for angle in np.linspace(-1.25, 1.35, 7):
            outward = angle if side > 0 else np.pi - angle
            for path, radius in vessel_paths(rng, hilum, outward, 0.3, thinnest):
                film.tube(path, radius, 1.0, vessels)
        lung = lung_length(film, body, side)
        aerated = (lung - np.minimum(vessels, lung)) * (1 - solid)
        film.total -= (MU_SOFT - MU_LUNG) * aerated


def add_airways(film: Film, body: Anatomy) -> None:
    """Replace soft tissue by the air of the trachea, main bronchi and stomach."""
    carina = (-0.2, 0.0, 8.8)
    film.tube([(0.0, 0.0, -1.0), (-0.1, 0.0, 4.0), carina], 0.55, -MU_SOFT)
    film.tube([(-2.3, 0.0, 10.6), carina, (2.6, 0.0, 10.3)], 0.38, -MU_SOFT)
    bubble = film.ellipsoid((4.6, 2.0, body.dome_z[1] + 2.6), (2.1, 1.6, 1.2), 0.2)
    film.total -= MU_SOFT * length(bubble)


def add_spine(film: Film) -> None:
    """Add vertebral bodies with end plates, pedicles, spinous and transverse processes."""
    for level in range(-2, 16):
        z, half = 3.3 + 1.46 * level, 0.95 + 0.025 * level
        wide = half - np.abs(film.x) - 0.15 * np.cos(np.pi * (film.z - z) / 1.3)
        box = film.inside(wide) * film.inside(0.6 - np.abs(film.z - z))
        core = film.inside(wide - 0.05) * film.inside(0.53 - np.abs(film.z - z))
        shell = 0.4 * (MU_CORTICAL - MU_SOFT) * (box - core)
        film.total += shell + 2.0 * (MU_SPONGY - MU_SOFT) * box
        film.tube([(0, -5.0, z + 0.4), (0, -3.8, z + 0.1)], 0.18, MU_SPONGY - MU_SOFT)
        film.bone([(0.62, -3.0, z - 0.1), (0.62, -2.3, z - 0.1)], 0.26, 0.06)  # pedicle
        film.bone([(0.8, -3.0, z), (1.9, -3.4, z - 0.25)], 0.27, 0.04)  # transverse process


def add_ribs(film: Film, body: Anatomy) -> None:
    """Add twelve pairs of ribs, each down and round the chest to where its cartilage starts."""
    for level in range(12):
        head_z, drop = 3.4 + 1.46 * level, body.rib_drop * (0.62 + 0.05 * min(level, 8))
        angle = np.linspace(0.12, 2.35 if level < 7 else 2.35 - 0.28 * (level - 6), 60)
        side_z = max(head_z + 0.45 * drop, body.apex_z + 0.9)
        x = (body.cage * cage_profile(body, side_z) + 0.25) * np.sin(angle) ** 0.85
        z = head_z - 0.45 * np.sin(2 * angle) + drop * (1 - np.cos(angle)) / 2
        film.bone(np.stack([x, -5.4 * np.cos(angle), z], axis=1), 0.34, 0.11)


def add_shoulders(film: Film, body: Anatomy) -> None:
    """Add clavicles, shoulder blades and upper arms."""
    reach = body.cage + 2.2  # x of the shoulder joint
    t = np.linspace(0, 1, 40)
    s_curve = 5.1 - 1.7 * t + 0.28 * np.sin(2 * np.pi * t)
    film.bone(np.stack([1.3 + (reach - 2.3) * t, 4 - 3 * t, s_curve], axis=1), 0.4, 0.11)
    film.bone([(reach, 0.0, 5.0), (reach + 0.3, 0.0, 5.6)], 1.2, 0.07)  # head of the humerus
    film.bone([(reach, 0.0, 5.4), (reach + 3.3, 0.0, 15.0)], 0.72, 0.22)
    socket, tip = (reach - 1.3, -4.0, 5.2), (body.cage - 1.2, -5.0, 12.2)
    corner = (reach - 4.8, -5.0, 4.4)
    film.bone([socket, tip], 0.3, 0.1)  # the blade's thick rim; its middle is paper-thin
    film.bone([socket, corner, tip], 0.17, 0.06)


def develop(film: Film, seed: int) -> NDArray[np.uint8]:
    """Expose the film to its body, add scatter and noise, and return 8-bit grey, bone bright."""
    rng = np.random.default_rng([seed, 1])
    primary = np.exp(-film.total)
    scatter = SCATTER_GAIN * blur(primary * (1 - primary), SCATTER_CM / film.pixel)
    counts = rng.poisson(PHOTONS * (primary + scatter)).astype(np.float64)
    counts = blur(counts, DETECTOR_CM / film.pixel)
    counts += rng.normal(0.0, READOUT_NOISE, counts.shape)
    log = np.log(np.maximum(counts, 1.0) / PHOTONS)
    log += LOCAL_GAIN * (log - blur(log, LOCAL_CM / film.pixel))
    return np.round(255 / (1 + np.exp(FILM_SLOPE * (log - MID_LOG)))).astype(np.uint8)


def cast_shadow(body: Anatomy, width_px: int) -> Film:
    """Project `body` onto a film, not yet exposed."""
    film = Film(width_px)
    film.total += MU_SOFT * trunk_length(film, body)
    add_lungs(film, body)
    add_airways(film, body)
    add_spine(film)
    add_ribs(film, body)
    add_shoulders(film, body)
    return film


def render(body: Anatomy, width_px: int = WIDTH_PX) -> NDArray[np.uint8]:
    """Return the radiograph of `body`, (rows, width_px) in 8-bit grey."""
    return develop(cast_shadow(body, width_px), body.seed)


def patches(seed: int, count: int) -> tuple[Opacity, ...]:
    """Scatter small faint opacities about both hila and lower zones."""
    rng = np.random.default_rng([seed, 2])
    x = rng.choice([-1, 1], count) * rng.uniform(2.8, 7.5, count)
    z, size = rng.uniform(7.0, 15.5, count), rng.uniform(0.5, 1.3, count)
    fill = rng.uniform(0.1, 0.35, count)
    rows = np.stack([x, z, size, size * rng.uniform(0.7, 1.3, count), fill], axis=1).tolist()
    return tuple(Opacity(*row) for row in rows)


CLEAR = Anatomy(seed=1)
WIDE = Anatomy(2, 10.1, 3.9, (15.2, 15.9), (4.5, 3.6), 0.6, 4.4, 1.8)
PHANTOMS = {
    "phantom_clear_1.jpeg": CLEAR,
    "phantom_clear_2.jpeg": WIDE,
    "phantom_opacity_lobar.jpeg": replace(
        CLEAR, seed=3, cage=9.5, opacities=(Opacity(-5.2, 12.9, 3.4, 2.2, 0.75),)
    ),
    "phantom_opacity_patchy.jpeg": replace(WIDE, seed=4, cage=9.8, opacities=patches(4, 50)),
}


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write a film that says what it is; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    Image.fromarray(pixels).save(
        part, "JPEG", quality=JPEG_QUALITY, comment=b"synthetic phantom, no patient"
    )
    part.replace(path)


def write_phantoms(folder: Path, width_px: int = WIDTH_PX) -> None:
    """Write every phantom into `folder`."""
    for name, body in PHANTOMS.items():
        save(render(body, width_px), folder / name)


def made_up_body(seed: int, kind: str) -> Anatomy:
    """Draw lots for a body; `kind` is `normal`, `bacteria` (one lobe) or `virus` (patches).

    How faint an opacity may be was chosen so that a small network errs on a few films: a data set
    on which it never does shows nothing of thresholds and of what INT8 costs.
    """
    rng = np.random.default_rng([seed, 3])
    dome, side = rng.uniform(14.0, 16.8), rng.choice([-1, 1])
    lobe = Opacity(
        x=side * rng.uniform(4.2, 6.2),
        z=rng.uniform(7.0, 12.5),
        half_width=rng.uniform(1.2, 3.0),
        half_height=rng.uniform(1.2, 3.0),
        fill=rng.uniform(0.2, 0.7),
    )
    opacities = {
        "normal": (),
        "bacteria": (lobe,),
        "virus": patches(seed, int(rng.integers(12, 60))),
    }
    return Anatomy(
        seed,
        cage=rng.uniform(8.4, 10.4),
        apex_z=rng.uniform(3.2, 4.4),
        dome_z=(dome, dome + rng.uniform(0.4, 1.0)),
        heart=(rng.uniform(3.9, 5.3), rng.uniform(2.9, 3.9)),
        heart_tilt=rng.uniform(0.45, 0.95),
        rib_drop=rng.uniform(4.4, 5.6),
        wall=rng.uniform(0.9, 2.4),
        opacities=opacities[kind],
    )


def write_patient(folder: Path, patient: int, kind: str, width_px: int) -> None:
    """Write the films of a patient below a split's folder, named as in the Kaggle set."""
    shadow = cast_shadow(made_up_body(patient, kind), width_px)
    rng = np.random.default_rng([patient, 4])
    for number in range(1, FILMS_A_PATIENT + 1):
        film = develop(shadow, int(rng.integers(2**32)))
        ends = [(side * rng.uniform((0, 1 - CUT_OFF / 2), (CUT_OFF / 2, 1))) for side in film.shape]
        (top, bottom), (left, right) = np.round(ends).astype(int)
        name = f"PNEUMONIA/person{patient}_{kind}_{number}.jpeg"
        if kind == "normal":
            name = f"NORMAL/IM-{patient:04}-{number:04}.jpeg"
        save(film[top:bottom, left:right], folder / name)


def write_dataset(folder: Path, *, width_px: int = DATASET_PX, share: float = 1.0) -> None:
    """Draw a labelled data set in the Kaggle set's layout, for trying the pipeline.

    Nothing measured on it says anything of patients.

    Args:
        folder: gets `train` and `test`, each with `NORMAL` and `PNEUMONIA`.
        width_px: width of a film before it is cut.
        share: of the patients in `PATIENTS`, for a smaller set.
    """
    wanted = [
        (split, kind)
        for split, kinds in PATIENTS.items()
        for kind, count in kinds.items()
        for _ in range(round(share * count))
    ]
    # Not forked: who calls this may have threads, which a copy of the process would not survive.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(write_patient, folder / split, patient, kind, width_px)
            for patient, (split, kind) in enumerate(wanted, start=1)
        ]
        for job in jobs:
            job.result()


def main() -> None:
    """Read the output folder from the command line and fill it."""
    parser = argparse.ArgumentParser(description="Draw the sample chest phantoms.")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("data/samples"),
        help="where to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--dataset", action="store_true", help="draw a labelled data set in the Kaggle set's layout"
    )
    arguments = parser.parse_args()
    if arguments.folder.exists() and not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: is a file; name the folder to draw into")
    (write_dataset if arguments.dataset else write_phantoms)(arguments.folder)
    print(f"wrote {arguments.folder}")


if __name__ == "__main__":
    main()
