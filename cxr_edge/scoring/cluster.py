"""Ray for the length of a command: joined, or started on this machine and ended with it."""

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator

from cxr_edge.scoring.listing import one_line
from cxr_edge_runtime.device import available_cores
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.native_output import stderr_silenced

# Seconds for a cluster to respond, once Ray is imported: on a busy machine that takes any time.
_PATIENCE_S = 30.0
# Its first line of output says that Ray is imported. -P: nothing of the current folder is.
_STATUS = "from ray.scripts.scripts import main; print(flush=True); main()"
# What passes through it are names and counts. Ray takes no less.
_OBJECT_STORE_BYTES = 80 * 2**20


def check(address: str) -> None:
    """Find out whether a cluster responds, before the work of listing films.

    Raises:
        InvalidRequest: an address of this form cannot work.
        CxrEdgeError: none responds.
    """
    if address.startswith("ray://"):
        raise InvalidRequest(
            f"{address}: Ray Data does not work through Ray Client; run this on a machine of the "
            "cluster with the address auto"
        )
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal()):
        raise InvalidRequest(f"{address}: is not the address of a cluster; give HOST:PORT or auto")
    # Where something else listens, or a cluster with another token, joining would wait for minutes
    # and heed no signal.
    status = [sys.executable, "-P", "-c", _STATUS, "status", "--address", address]
    if not _succeeds(status):
        raise CxrEdgeError(f"{address}: no Ray responds there, or it requires another token")


def _succeeds(command: list[str]) -> bool:
    """Whether a command ends well, within the patience from its first line of output on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return False
        finally:
            process.kill()
    return process.returncode == 0


@contextlib.contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[int]:
    """Connect to Ray, or start it, with its terminal output hidden.

    Args:
        address: ``HOST:PORT`` of a cluster or ``auto``; None starts Ray on this machine.
        workers: how many there are to be; None for one a processor core.

    Yields:
        How many workers to start.

    Raises:
        CxrEdgeError: there is no such cluster, or Ray does not start.
    """
    with _environment(is_own=address is None), _silence():
        import ray

        _connect(address, workers or available_cores())
        try:
            cores = int(ray.cluster_resources().get("CPU", 0))
            if not cores:
                raise CxrEdgeError(f"{address}: this cluster has no CPU core")
            yield workers or cores
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hide what Ray says of itself; its log files have all of it."""
    with (
        stderr_silenced(),
        open(os.devnull, "w") as nowhere,  # noqa: PTH123  # a name, not a path
        # What Ray's other processes report is printed to Python's standard output.
        contextlib.redirect_stdout(nowhere),
        warnings.catch_warnings(),
    ):
        import ray.data  # noqa: F401  # for what importing it does

        # Importing it sets filters and handlers.
        warnings.simplefilter("ignore")
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.CRITICAL + 1)
        yield


@contextlib.contextmanager
def _environment(*, is_own: bool) -> Iterator[None]:
    """Within, the environment has what Ray looks for; what the user has set stays."""
    # Safe path: what lies in the current folder is not to be imported by Ray's other processes.
    wanted = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONSAFEPATH": "1"}
    if is_own:
        # Ray listens to the network even when it is alone; without a token anyone could run code.
        wanted |= {"RAY_AUTH_MODE": "token"}
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            wanted |= {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    _read_environment_again()
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        _read_environment_again()


def _read_environment_again() -> None:
    """Make Ray forget a token of earlier in this process, which its next cluster would refuse."""
    if "ray" not in sys.modules:
        return
    # As Ray's own tests do; it has no public way.
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _connect(address: str | None, workers: int) -> None:
    import ray
    from ray.job_config import JobConfig

    job = JobConfig()
    # Ray has workers import from the driver's current folder and from that of its script, where
    # anyone may have put a pandas.py beside the films. It has no public way to leave them out but
    # a working directory, which would be sent to every node and change what relative paths name.
    job._runtime_env_has_working_dir = lambda: True
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    own = {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": workers,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    # Ray sets a handler of its own.
    before = signal.getsignal(signal.SIGTERM)
    try:
        where = own if address is None else {"address": address}
        ray.init(**where, **quiet, job_config=job)
    except Exception as error:
        failed = "Ray does not start" if address is None else f"{address}: no Ray there"
        raise CxrEdgeError(f"{failed} ({one_line(error)})") from error
    finally:
        signal.signal(signal.SIGTERM, before)
