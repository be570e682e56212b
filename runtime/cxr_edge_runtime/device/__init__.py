"""The device: its model, its temperature, its cores, and whether it is throttled."""

import platform
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.device.cores import available_cores

__all__ = ["DeviceState", "available_cores", "device_state", "processor_instructions"]

# By which the products of INT8 are computed, as Linux calls them on x86-64 and on ARM.
_INT8_INSTRUCTIONS = (
    "avx2", "avx512bw", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve",
)  # fmt: skip
_CPUINFO = "proc/cpuinfo"
_MODEL = "proc/device-tree/model"
_TEMPERATURES = "sys/class/thermal/thermal_zone*/temp"
# The Raspberry Pi's firmware; bits as documented for `vcgencmd get_throttled`.
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of the device; what it does not report is None.

    Attributes:
        model: for example ``Raspberry Pi Zero 2 W Rev 1.0``.
        temperature_c: of the hottest sensor, in degrees Celsius.
        slowed: what slows the processor now, and what has slowed it since start-up; empty if
            nothing has.
    """

    model: str | None
    temperature_c: float | None
    slowed: tuple[str, ...] | None


def device_state(root: Path = Path("/")) -> DeviceState:
    """Read the state of the device.

    Args:
        root: the folder that has ``proc`` and ``sys``.

    Returns:
        The state, with None for what cannot be read.
    """
    model = _text(root / _MODEL)
    sensors = [_number(path) for path in sorted(root.glob(_TEMPERATURES))]
    celsius = [value / 1000 for value in sensors if value is not None]
    throttled = _number(root / _THROTTLED, base=16)
    return DeviceState(
        model.rstrip("\0") if model else None,
        max(celsius) if celsius else None,
        None if throttled is None else _slowed(throttled),
    )


def processor_instructions(root: Path = Path("/")) -> str:
    """The instructions of this processor that INT8 models may be computed with.

    The same file may give other results with others, so what was verified is recorded with them.

    Args:
        root: the folder that has ``proc``.

    Returns:
        The machine and the instructions, for example ``x86_64 avx2 avx512_vnni``.
    """
    found = set((_text(root / _CPUINFO) or "").split())
    return " ".join([platform.machine(), *(name for name in _INT8_INSTRUCTIONS if name in found)])


def _slowed(bits: int) -> tuple[str, ...]:
    now = [words for bit, words in _NOW.items() if bits >> bit & 1]
    before = [
        f"{words} since start-up"
        for bit, words in _NOW.items()
        if bits >> (bit + _SINCE_BOOT) & 1 and words not in now
    ]
    return (*now, *before)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path, base: int = 10) -> int | None:
    text = _text(path)
    try:
        return int(text, base) if text else None
    except ValueError:
        return None
