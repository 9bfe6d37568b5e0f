"""The house rules: who may import whom, what an import may cost, what no module may be called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("suite", "gan", "classifiers", "segmentation", "web")
ALLOWED = {
    "suite": {"suite"},
    "gan": {"gan", "suite"},
    "classifiers": {"classifiers", "suite"},
    "segmentation": {"segmentation", "suite"},
    "web": {"web", "suite"},
}


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_towards_the_kernel(package: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported_packages(path) & set(PACKAGES) - ALLOWED[package])
        for path in (ROOT / package).rglob("*.py")
        if imported_packages(path) & set(PACKAGES) - ALLOWED[package]
    }
    assert wrong == {}


def test_the_rule_would_notice_a_wrong_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def f():\n    from gan.stage import BoneStage\n")
    assert imported_packages(module) & set(PACKAGES) - ALLOWED["suite"] == {"gan"}


def test_relative_imports_are_not_used() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert found == []


def fresh(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return result.stdout.strip()


@pytest.mark.parametrize(
    "statement",
    [
        "import suite",
        "import suite.cli",
        "import suite.jobs",
        "import web",
        "import suite.phantom",
        "import suite.intake",
    ],
)
def test_light_modules_start_without_torch(statement: str) -> None:
    assert fresh(f"{statement}; import sys; print('torch' in sys.modules)") == "False"


def test_listing_plugins_imports_none_of_them() -> None:
    code = (
        "from suite.stages.plugins import installed, RECIPES, STAGES; import sys\n"
        "assert installed(STAGES) and installed(RECIPES)\n"
        "print([m for m in ('torch', 'gan', 'classifiers', 'segmentation') if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_the_gates_checks_are_known_without_torch() -> None:
    code = (
        "from suite.stages.override import known_checks; import sys\n"
        "print('age' in known_checks(), 'mirrored' in known_checks(), 'torch' in sys.modules)"
    )
    assert fresh(code) == "True True False"


@pytest.mark.parametrize("package", [package for package in PACKAGES if package != "suite"])
def test_a_fresh_interpreter_agrees_with_the_syntax_tree(package: str) -> None:
    """What is really loaded, lazily or not, when every module of a package is imported."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
    ]
    others = sorted(set(PACKAGES) - ALLOWED[package])
    code = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        f"print([p for p in {others!r} if p in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_the_kernel_loads_no_model_package() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "suite").rglob("*.py")
        if "migrations" not in path.parts
    ]
    code = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        "print([p for p in ('gan', 'classifiers', 'segmentation', 'web') if p in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_there_are_no_catch_all_modules() -> None:
    names = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [str(path) for path in modules() if path.stem in names or path.parent.name in names] == []


def test_nothing_is_loaded_from_a_pickle() -> None:
    """Weights are safetensors; torch.load and pickle have no place here."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "load"
                and getattr(node.value, "id", "") in ("torch", "pickle")
            ):
                found.append(str(path))
    assert found == []
