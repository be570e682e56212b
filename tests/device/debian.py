"""The emulator and Debian's aarch64 Python, fetched with apt into a folder of the user's.

apt works there with settings of its own, so that nothing is installed, nothing of this computer's
apt changes and root is not needed. Signatures are checked as always.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from report import NotRun

# Raspberry Pi OS has the Python of the Debian release it is made from.
# 3.14 comes with the next one.
RELEASES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
# Not bookworm's, 7.2: LiteRT crashes in it, and it computes wrong numbers.
EMULATOR_RELEASE = "trixie"

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def emulator() -> Path:
    """The emulator for programs of aarch64, ``qemu-aarch64``, out of the cache where it is there.

    Raises:
        NotRun: it cannot be had.
    """
    folder = _cache() / f"qemu-user-{EMULATOR_RELEASE}"
    if not folder.is_dir():
        _need_tools()
        architecture = _output(["dpkg", "--print-architecture"])
        # The emulator is one static program; what it recommends or depends on is not needed.
        _fetch(folder, EMULATOR_RELEASE, architecture, ["qemu-user"], only="./usr/bin/qemu-aarch64")
    return folder / "usr/bin/qemu-aarch64"


def aarch64_files(python: str) -> Path:
    """A folder with what lies below ``/`` on the device: Python and the libraries it needs.

    Raises:
        NotRun: they cannot be had.
    """
    release = RELEASES[python]
    folder = _cache() / f"python{python}-{release}-arm64"
    if not folder.is_dir():
        _need_tools()
        # libstdc++6: the wheels of numpy and LiteRT are linked with it.
        _fetch(folder, release, "arm64", [f"python{python}", "libstdc++6"])
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "cxr-edge", "device")


def _need_tools() -> None:
    missing = [name for name in ("apt-get", "dpkg", "dpkg-deb", "tar") if not shutil.which(name)]
    if missing:
        raise NotRun(f"the emulator comes from Debian's packages, and {missing[0]} is not here")
    if not KEYRING.exists():
        raise NotRun(f"{KEYRING} is not here; it is in the package debian-archive-keyring")


def _archive() -> str:
    """The address of Debian's archive: the one that this computer's apt uses."""
    if chosen := os.environ.get("DEBIAN_MIRROR"):
        return chosen
    targets = _output(["apt-get", "indextargets", "--format", "$(REPO_URI)"])
    for address in targets.splitlines():
        if address.rstrip("/").endswith("/debian"):
            return address
    raise NotRun("apt knows no archive of Debian; name one in DEBIAN_MIRROR")


def _fetch(
    folder: Path, release: str, architecture: str, packages: list[str], *, only: str | None = None
) -> None:
    """Unpack packages and all they depend on below a new folder, or only a file of the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as name:
        apt, root = Path(name, "apt"), Path(name, "root")
        _download(apt, release, architecture, packages)
        for part in ("bin", "lib", "sbin"):
            (root / "usr" / part).mkdir(parents=True)
            (root / part).symlink_to(f"usr/{part}")  # as the package base-files does
        pattern = f"{packages[0]}_*.deb" if only else "*.deb"
        for archive in (apt / "archives").glob(pattern):
            _unpack(archive, root, only)
        try:
            root.rename(folder)  # all or nothing; another run may have been quicker
        except OSError:
            if not folder.is_dir():
                raise


def _download(work: Path, release: str, architecture: str, packages: list[str]) -> None:
    for part in ("lists/partial", "archives/partial", "state"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_archive()} {release} main\n")
    (work / "apt.conf").write_text(
        f'Dir::State "{work}/state";\n'
        f'Dir::State::status "{work}/status";\n'
        f'Dir::State::lists "{work}/lists";\n'
        f'Dir::Cache "{work}";\n'
        f'Dir::Cache::archives "{work}/archives";\n'
        f'Dir::Log "{work}";\n'
        f'Dir::Etc::sourcelist "{work}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null";\n'
        f'APT::Architecture "{architecture}";\n'
        f'APT::Architectures {{ "{architecture}"; }};\n'
        'APT::Install-Recommends "false";\n'
        'APT::Sandbox::User "";\n'  # root's apt would fetch as a user who may not write here
        'Acquire::Languages "none";\n'
        'Debug::NoLocking "true";\n'
        'pkgCacheGen::ForceEssential "none";\n'  # without it, a whole base system
    )
    settings = {"APT_CONFIG": str(work / "apt.conf")}
    _output(["apt-get", "--quiet=2", "update"], settings)
    _output(["apt-get", "--quiet=2", "--yes", "--download-only", "install", *packages], settings)


def _unpack(archive: Path, root: Path, only: str | None) -> None:
    members = [only] if only else ["--exclude=./usr/share/doc", "--exclude=./usr/share/man"]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE
    ) as package:
        subprocess.run(
            ["tar", "--extract", "--keep-directory-symlink", "--directory", root, *members],
            stdin=package.stdout,
            check=True,
        )


def _output(command: list[str], variables: dict[str, str] | None = None) -> str:
    """What a command prints; that it fails means that something cannot be had here."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | (variables or {})
    )
    # apt-get update ends well also where it could fetch nothing, and warns.
    if done.returncode or "\nW: Failed to fetch" in f"\n{done.stderr}":
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise NotRun(f"{' '.join(command[:3])}: {reason}")
    return done.stdout.strip()
