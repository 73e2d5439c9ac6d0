"""Makes `.venvs/rasa` (Python 3.10) and `.venvs/app` (Python 3.11 or newer) from the locks in `requirements/`, with uv.

`python3 ops/environments.py` sets up what is missing or out of date and returns within milliseconds when nothing is;
`python3 ops/environments.py development` adds what tests and checks need; what is there stays, whatever is run next;
`python3 ops/environments.py lock` makes the locks anew from the `.in` files;
`python3 ops/environments.py encoder` makes `.venvs/encoder`, with torch, which only `make encoder` needs.

It runs before anything is installed, so it needs the standard library and any Python from 3.8 on, and nothing else. The
locks are lists of versions, not uv's own: `uv.lock` holds the addresses of an index, and who is behind a mirror needs
another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"  # what is installed into .venvs/tools when the machine has no uv


class SetupError(Exception):
    """One sentence for a person, English and Chinese, that says what to do."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(f"{english}\n{chinese}")


@dataclass(frozen=True)
class Environment:
    """One virtual environment, made from `requirements/<name>.lock`, or from `<name>-dev.lock`, which says more."""

    name: str
    pythons: tuple[str, ...]  # versions that will do, the best first
    size: float  # gigabytes on disk, with bytecode
    venvs: Path = ROOT / ".venvs"
    requirements: Path = ROOT / "requirements"
    torch: bool = False  # does the lock name it? Then a build for CPUs is taken where one can be had

    @property
    def folder(self) -> Path:
        return self.venvs / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def lock(self) -> Path:
        return self.requirements / f"{self.name}.lock"

    @property
    def development(self) -> Path:
        """The lock with the tools of development."""
        return self.requirements / f"{self.name}-dev.lock"

    @property
    def stamp(self) -> Path:
        """Written last and removed first, so a set-up that was interrupted has none."""
        return self.folder / ".stamp"

    def facts(self, development: bool) -> dict[str, str]:
        """What the stamp records. The place counts because the scripts of an environment hold absolute paths."""
        locks = {"lock": self.lock, **({"development": self.development} if development else {})}
        return {
            **{name: hashlib.sha256(lock.read_bytes()).hexdigest() for name, lock in locks.items()},
            "python": os.path.realpath(self.python),
            "place": str(self.folder),
        }

    def stamped(self) -> dict[str, str]:
        try:
            stamp: dict[str, str] = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamp

    def is_ready(self, development: bool = False) -> bool:
        """With the tools of development it can do without them, too."""
        return self.python.exists() and self.stamped().items() >= self.facts(development).items()

    def can_be_updated(self) -> bool:
        """Complete, in its place and with a living interpreter: only the lock has changed."""
        stamp, facts = self.stamped(), self.facts(development=False)
        return self.python.exists() and all(stamp.get(key) == facts[key] for key in ("python", "place"))


NEWER = ("3.11", "3.12", "3.13", "3.14")

ENVIRONMENTS = (
    Environment("rasa", ("3.10",), size=3.0),  # Rasa 3.6 needs Python below 3.11
    Environment("app", NEWER, size=0.8),
)
ENCODER = Environment("encoder", NEWER, size=1.2, torch=True)


class Uv:
    """The installer, which also finds and fetches Pythons."""

    def __init__(self, program: str, environ: Mapping[str, str]) -> None:
        self._program = program
        index, links = pip_setting("index-url", environ), pip_setting("find-links", environ)
        self._environ = {
            # in the environment, not on the command line: the address of a mirror may hold a password
            **({"UV_DEFAULT_INDEX": index} if index else {}),
            **({"UV_FIND_LINKS": ",".join(links.split())} if links else {}),
            "UV_CUSTOM_COMPILE_COMMAND": "make lock",
            **{name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PATH": path_without_shims(environ),
        }

    @classmethod
    def find(cls, environ: Mapping[str, str], venvs: Path) -> Uv:
        """That of PATH, or one that pip installs into `.venvs/tools`."""
        tools = venvs / "tools"
        own = tools / "bin" / "uv"
        for program in (shutil.which("uv", path=path_without_shims(environ)) or "uv", str(own)):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run([program, "--version"], env=dict(environ), capture_output=True, timeout=20, check=True)
                return cls(program, environ)
        with step("Installing uv, the installer / 安装 uv"):
            run([sys.executable, "-m", "venv", "--clear", str(tools)], environ)
            pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            run([*pip, UV], environ)
        return cls(str(own), environ)

    def __call__(self, *arguments: str) -> None:
        run([self._program, *arguments], self._environ)

    def python(self, versions: Sequence[str]) -> str:
        """Absolute path of a Python of the best version that there is, else of the best one, fetched into uv's own
        folder; nothing else on the machine changes."""
        for version in versions:
            if path := self._find(version):
                return path
        version = versions[0]
        with contextlib.suppress(SetupError), step(f"Fetching Python {version} with uv / 用 uv 下载 Python {version}"):
            self("python", "install", version)
            if path := self._find(version, "--managed-python"):
                return path
            raise SetupError("uv's Python does not start", "uv 的 Python 无法启动")
        raise SetupError(
            f"Python {version} was not found and could not be downloaded: install it (pyenv install {version}, or your"
            f" system's python{version} package) and start again.",
            f"没有找到 Python {version}，也无法下载："
            f"请用 pyenv install {version} 或系统的软件包 python{version} 安装后重试。",
        )

    def _find(self, version: str, *more: str) -> str | None:
        """One that can open a database and a secure connection, which one that was built by hand may not."""
        search = ("python", "find", "--no-project", "--system", "--no-python-downloads", *more, f"cpython@{version}")
        found = subprocess.run([self._program, *search], env=self._environ, capture_output=True, text=True)
        path = found.stdout.strip()
        if found.returncode != 0 or not path:
            return None
        works = subprocess.run([path, "-I", "-c", "import sqlite3, ssl"], env=self._environ, capture_output=True)
        return path if works.returncode == 0 else None


def path_without_shims(environ: Mapping[str, str]) -> str:
    """PATH with the Pythons that pyenv keeps, the newest first, in place of its shims: there is a shim for versions
    that it then refuses to start, and uv stops at it."""
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/"), ".pyenv"))
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    kept = sorted(pyenv.glob("versions/*/bin"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)])
    return os.pathsep.join([one for one in folders if one != str(pyenv / "shims")] + [str(one) for one in kept[::-1]])


def pip_setting(name: str, environ: Mapping[str, str]) -> str:
    """A setting of pip (`index-url`, `find-links`) from its environment variable or its configuration file.

    uv reads neither, and a mirror set with `pip config` is how many machines in China reach packages at all.
    """
    value = environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", f"global.{name}"],
        env=dict(environ),
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""


def install(environment: Environment, uv: Uv, development: bool) -> None:
    """Makes or updates one environment; the stamp is removed first and written last. Tools that are there stay."""
    update = environment.can_be_updated()
    development = development or (update and "development" in environment.stamped())
    lock = str(environment.development if development else environment.lock)
    target = ("--quiet", "--compile-bytecode", "--python", str(environment.python))
    if not update:
        python = uv.python(environment.pythons)
    with step(f"Installing the {environment.name} environment / 安装 {environment.name} 环境"):
        if update:
            environment.stamp.unlink()
        else:
            shutil.rmtree(environment.folder, ignore_errors=True)
            uv("venv", "--quiet", "--python", python, str(environment.folder))
        # bytecode, because every start would compile TensorFlow again
        if environment.torch:
            install_with_torch(environment, uv, target)
        else:
            uv("pip", "sync", *target, lock)
    environment.stamp.write_text(json.dumps(environment.facts(development)))


def install_with_torch(environment: Environment, uv: Uv, target: Sequence[str]) -> None:
    """Installs a lock that names torch, in the smallest build that can be had."""
    (torch,) = (line for line in environment.lock.read_text().splitlines() if line.startswith("torch=="))
    size = 5.7 if sys.platform == "linux" else 1.2
    for place in ("--no-index", "--torch-backend=cpu"):  # the first: from find-links
        with contextlib.suppress(SetupError):
            uv("pip", "install", *target, "--no-deps", place, torch)
            size = 1.2
            break
    check_disk(environment.folder, size)
    # the lock names no CUDA package: a torch that needs them brings them, and one that is there is kept
    uv("pip", "install", *target, "-r", str(environment.lock))


@contextlib.contextmanager
def alone(venvs: Path) -> Iterator[None]:
    """A second set-up at the same time waits for the first."""
    venvs.mkdir(parents=True, exist_ok=True)
    with (venvs / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another set-up in this folder / 等待同一目录中的另一个安装完成", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(environments: Sequence[Environment], environ: Mapping[str, str], development: bool = False) -> None:
    """Makes every environment that is not ready."""
    if all(environment.is_ready(development) for environment in environments):
        return
    venvs = environments[0].venvs
    with alone(venvs):
        missing = [environment for environment in environments if not environment.is_ready(development)]
        if not missing:
            return
        check_disk(venvs, sum(environment.size for environment in missing if not environment.folder.exists()))
        uv = Uv.find(environ, venvs)
        for environment in missing:
            install(environment, uv, development)


def make_locks(environments: Sequence[Environment], options: Sequence[str], environ: Mapping[str, str]) -> None:
    """Resolves the `.in` files into locks for every platform, without the address of any index."""
    uv = Uv.find(environ, environments[0].venvs)
    for environment in environments:
        # torch asks for CUDA on Linux, which the builds for CPU do without
        arguments = ("--excludes", "requirements/cuda.txt") if environment.torch else ()
        for lock in (environment.lock, environment.development):  # the second takes its versions from the first
            if lock.with_suffix(".in").exists():
                with step(f"Locking {lock.stem} / 锁定 {lock.stem}"):
                    source, output = (str(path.relative_to(ROOT)) for path in (lock.with_suffix(".in"), lock))
                    universal = ("--quiet", "--universal", "--python-version", environment.pythons[0])
                    uv("pip", "compile", *universal, *arguments, *options, source, "-o", output)


# --- telling ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Says what is being done and, when it is done, how long it took."""
    print(f"{text} … ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("✗", flush=True)
        raise
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Runs a command in the project's folder; its output is seen only when it fails."""
    try:
        answer = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SetupError(f"{command[0]} cannot be started: {error}.", f"无法启动 {command[0]}：{error}。") from error
    if answer.returncode != 0:
        raise explained(answer.stdout)


def check_disk(folder: Path, gigabytes: float) -> None:
    if shutil.disk_usage(folder).free < gigabytes * 1e9:
        raise disk_full(gigabytes)


def disk_full(gigabytes: float) -> SetupError:
    return SetupError(
        f"The disk is full: the environments need about {gigabytes:.0f} GB; free some space and start again.",
        f"磁盘空间不足：环境大约需要 {gigabytes:.0f} GB，请清理后重试。",
    )


NETWORK = re.compile(
    r"error sending request|could not connect|connection (refused|reset|error)|name resolution|dns error|timed out|"
    r"network is unreachable|max retries|no matching distribution found|failed to (fetch|download)|resolving dns|"
    r"not found in the (package registry|provided package locations)",
    re.IGNORECASE,
)


def explained(output: str) -> SetupError:
    """What a failed command's output means, with its last lines where that does not say it all."""
    if re.search(r"no space left on device|disk quota exceeded", output, re.IGNORECASE):
        return disk_full(sum(environment.size for environment in ENVIRONMENTS))
    last = "\n".join(line for line in output.strip().splitlines()[-8:])
    if NETWORK.search(output):
        return SetupError(
            "The packages could not be downloaded: check the network, or name a mirror with"
            " `pip config set global.index-url …`, and start again; what was downloaded is kept.",
            "软件包下载失败：请检查网络，或用 `pip config set global.index-url …` 设置镜像后重试，已下载的不会丢失。"
            f"\n\n{last}",
        )
    return SetupError(
        "The installation failed; the installer's last lines are below. Starting again begins afresh.",
        f"安装失败，安装程序的最后几行输出如下；重新运行会从头再来。\n\n{last}",
    )


def main(arguments: Sequence[str]) -> int:
    for signum in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first for what runs in the background
        signal.signal(signum, signal.default_int_handler)  # unwind, so that the installer underneath stops too
    try:
        if arguments[:1] == ["lock"]:
            make_locks((*ENVIRONMENTS, ENCODER), arguments[1:], os.environ)
        elif arguments[:1] == ["encoder"]:
            set_up((ENCODER,), os.environ)
        else:
            set_up(ENVIRONMENTS, os.environ, development=arguments[:1] == ["development"])
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next start goes on from here / 已停止，下次启动会继续", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
