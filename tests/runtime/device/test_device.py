from pathlib import Path

from cxr_edge_runtime.device import DeviceState, device_state

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def machine(root: Path, files: dict[str, str]) -> DeviceState:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return device_state(root)


def test_a_pi_tells_model_temperature_and_what_slows_it(tmp_path: Path) -> None:
    state = machine(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi Zero 2 W Rev 1.0\0",
            "sys/class/thermal/thermal_zone0/temp": "61224\n",
            "sys/class/thermal/thermal_zone1/temp": "58000\n",
            THROTTLED: "50005\n",  # under-voltage and throttled, now and before
        },
    )
    assert state.model == "Raspberry Pi Zero 2 W Rev 1.0"
    assert state.temperature_c == 61.224
    assert state.slowed == ("under-voltage", "throttled")


def test_what_slowed_it_before_is_told_apart_from_now(tmp_path: Path) -> None:
    state = machine(tmp_path, {THROTTLED: "80002"})
    assert state.slowed == ("frequency capped", "soft temperature limit since start-up")
    assert machine(tmp_path, {THROTTLED: "0"}).slowed == ()


def test_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    assert device_state(tmp_path) == DeviceState(None, None, None)
    files = {"sys/class/thermal/thermal_zone0/temp": "warm", THROTTLED: ""}
    assert machine(tmp_path, files) == DeviceState(None, None, None)
    assert device_state().temperature_c is None or device_state().temperature_c
