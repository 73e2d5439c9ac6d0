"""Makes `.venvs/rasa` (Python 3.10) and `.venvs/app` (Python 3.11 or newer) from the locks in `requirements/`.

`python3 ops/environments.py` sets up what is missing or out of date and returns within milliseconds when nothing is;
`python3 ops/environments.py development` adds what tests and checks need; what is there stays, whatever is run next;
`python3 ops/environments.py lock` makes the locks anew from the `.in` files;
`python3 ops/environments.py encoder` makes `.venvs/encoder`, with torch, which only `make encoder` needs.

It runs before anything is installed, so it needs the standard library and any Python from 3.8 on, and nothing else.
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


CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
"""Where PyTorch keeps its builds without CUDA; the package registry has them for macOS only."""


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


# --- finding a Python ------------------------------------------------------------------------------------------------


def interpreter(candidate: str | Path, versions: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Absolute path of the CPython behind `candidate`, if its version is one of `versions`.

    The candidate is run, not looked up: a shim of pyenv exists for versions that it then refuses to start. Its base
    is asked for, because the candidate itself may be a virtual environment that goes away.
    """
    code = (
        "import os, ssl, sys; version = '%d.%d' % sys.version_info[:2];"
        "print(sys.implementation.name, version, os.path.join(sys.base_prefix, 'bin', 'python' + version))"
    )
    try:
        answer = subprocess.run(
            [str(candidate), "-I", "-c", code], env=dict(environ), capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.strip().split(" ", 2)
    if answer.returncode != 0 or len(words) != 3 or words[0] != "cpython" or words[1] not in versions:
        return None
    return words[2]


def on_path(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Every executable of that name on PATH, not only the first: the first may be a shim that lies."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        if folder and os.access(Path(folder, name), os.X_OK):
            yield Path(folder, name)


def candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Executables that may be Python `version`: those on PATH, then those that pyenv keeps, the newest first."""
    for name in (f"python{version}", "python3", "python"):
        yield from on_path(name, environ)
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/"), ".pyenv"))
    patch = re.compile(re.escape(version) + r"\.(\d+)$")
    kept = [(int(match[1]), folder) for folder in pyenv.glob("versions/*") if (match := patch.match(folder.name))]
    for _, folder in sorted(kept, reverse=True):
        yield folder / "bin" / f"python{version}"


def find_python(versions: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The first candidate that runs, by preferred version."""
    for version in versions:
        for candidate in candidates(version, environ):
            path = interpreter(candidate, (version,), environ)
            if path:
                return path
    return None


def fetch_python(version: str, uv: str | None, environ: Mapping[str, str]) -> str:
    """Downloads Python `version` with uv; it goes to uv's own folder and changes nothing else on the machine."""
    if uv is not None:
        with contextlib.suppress(SetupError), step(f"Fetching Python {version} with uv / 用 uv 下载 Python {version}"):
            run([uv, "python", "install", version], environ)
            answer = subprocess.run(
                [uv, "python", "find", "--managed-python", version], env=dict(environ), capture_output=True, text=True
            )
            path = interpreter(answer.stdout.strip(), (version,), environ)
            if path:
                return path
            raise SetupError("uv's Python does not start", "uv 的 Python 无法启动")
    raise SetupError(
        f"Python {version} was not found and could not be downloaded: install it (pyenv install {version}, or your"
        f" system's python{version} package) and start again.",
        f"没有找到 Python {version}，也无法下载："
        f"请用 pyenv install {version} 或系统的软件包 python{version} 安装后重试。",
    )


# --- installing ------------------------------------------------------------------------------------------------------


def find_uv(environ: Mapping[str, str], venvs: Path) -> str | None:
    """uv from PATH, or installed by pip into `.venvs/tools`; None when it cannot be had."""

    tools = venvs / "tools"
    own = tools / "bin" / "uv"
    for path in (*on_path("uv", environ), own):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([str(path), "--version"], env=dict(environ), capture_output=True, timeout=20, check=True)
            return str(path)
    try:
        with step("Installing uv, the installer / 安装 uv"):
            run([sys.executable, "-m", "venv", "--clear", str(tools)], environ)
            run(
                [str(tools / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", UV],
                environ,
            )
    except SetupError:
        print("uv cannot be had; going on with pip, which is slower / 无法取得 uv，改用较慢的 pip", flush=True)
        return None
    return str(own)


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


def install(
    environment: Environment, python: str, uv: str | None, environ: Mapping[str, str], development: bool
) -> None:
    """Makes or updates one environment; the stamp is removed first and written last. Tools that are there stay."""
    update = environment.can_be_updated()
    development = development or (update and "development" in environment.stamped())
    environment.stamp.unlink() if update else shutil.rmtree(environment.folder, ignore_errors=True)
    lock = str(environment.development if development else environment.lock)
    with step(f"Installing the {environment.name} environment / 安装 {environment.name} 环境"):
        if not update:
            made = [uv, "venv", "--quiet", "--python", python] if uv is not None else [python, "-m", "venv"]
            run([*made, str(environment.folder)], environ)
        if environment.torch:
            install_with_torch(environment, uv, environ)
        elif uv is not None:
            run_uv([uv, "pip", "sync", "--quiet", "--python", str(environment.python), lock], environ)
        else:
            # the lock is complete: resolving it again would only take time
            run([*pip_install(environment), "--no-deps", "-r", lock], environ)
    with step("Compiling its bytecode / 编译字节码"):
        # uv writes none, and every start would compile TensorFlow again. A file for another Python fails: no harm.
        subprocess.run(
            [str(environment.python), "-m", "compileall", "-qq", "-j2", str(environment.folder / "lib")],
            env={key: value for key, value in environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    environment.stamp.write_text(json.dumps(environment.facts(development)))


def run_uv(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Runs uv with pip's settings."""
    links = [arg for place in pip_setting("find-links", environ).split() for arg in ("--find-links", place)]
    index = pip_setting("index-url", environ)
    # in the environment, not on the command line: the address of a mirror may hold a password
    run([*command, *links], {**({"UV_DEFAULT_INDEX": index} if index else {}), **environ})


def pip_install(environment: Environment) -> list[str]:
    return [str(environment.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]


def install_with_torch(environment: Environment, uv: str | None, environ: Mapping[str, str]) -> None:
    """Installs a lock that names torch, in the smallest build that can be had."""

    def add(*arguments: str) -> None:
        if uv is not None:
            run_uv([uv, "pip", "install", "--quiet", "--python", str(environment.python), *arguments], environ)
        else:
            run([*pip_install(environment), "--retries", "1", *arguments], environ)

    (torch,) = (line for line in environment.lock.read_text().splitlines() if line.startswith("torch=="))
    size = 5.7 if sys.platform == "linux" else 1.2
    for place in (("--no-index",), ("--index-url", CPU_BUILDS)):  # the first: from find-links
        with contextlib.suppress(SetupError):
            add("--no-deps", *place, torch)
            size = 1.2
            break
    if shutil.disk_usage(environment.folder).free < size * 1e9:
        raise disk_full(size)
    # the lock names no CUDA package: a torch that needs them brings them, and one that is there is kept
    add("-r", str(environment.lock))


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
        need = sum(environment.size for environment in missing if not environment.folder.exists())
        if shutil.disk_usage(venvs).free < need * 1e9:
            raise disk_full(need)
        uv = find_uv(environ, venvs)
        for environment in missing:
            python = find_python(environment.pythons, environ) or fetch_python(environment.pythons[0], uv, environ)
            install(environment, python, uv, environ, development)


def make_locks(environments: Sequence[Environment], options: Sequence[str], environ: Mapping[str, str]) -> None:
    """Resolves the `.in` files into locks for every platform, without the address of any index."""
    uv = find_uv(environ, environments[0].venvs)
    if uv is None:
        raise SetupError("Making the locks needs uv: pip install uv.", "更新锁文件需要 uv：pip install uv。")
    for environment in environments:
        # torch asks for CUDA on Linux, which the builds for CPU do without
        arguments = ("--excludes", "requirements/cuda.txt") if environment.torch else ()
        for lock in (environment.lock, environment.development):  # the second takes its versions from the first
            if lock.with_suffix(".in").exists():
                lock_one(lock, environment.pythons[0], arguments, uv, options, environ)


def lock_one(
    lock: Path, version: str, arguments: Sequence[str], uv: str, options: Sequence[str], environ: Mapping[str, str]
) -> None:
    with step(f"Locking {lock.stem} / 锁定 {lock.stem}"):
        source, output = (str(path.relative_to(ROOT)) for path in (lock.with_suffix(".in"), lock))
        universal = ("--quiet", "--universal", "--python-version", version)
        run(
            [uv, "pip", "compile", *universal, *arguments, *options, source, "-o", output],
            {**environ, "UV_CUSTOM_COMPILE_COMMAND": "make lock"},
        )


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


def disk_full(gigabytes: float) -> SetupError:
    return SetupError(
        f"The disk is full: the environments need about {gigabytes:.0f} GB; free some space and start again.",
        f"磁盘空间不足：环境大约需要 {gigabytes:.0f} GB，请清理后重试。",
    )


NETWORK = re.compile(
    r"error sending request|could not connect|connection (refused|reset|error)|name resolution|dns error|timed out|"
    r"network is unreachable|max retries|no matching distribution found|failed to (fetch|download)",
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
