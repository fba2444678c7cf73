"""The code blocks of the documentation, and what checks a command that is not run."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import typer

from patchtst_har.cli import app
from patchtst_har.cli.console import configure
from patchtst_har.pretrained import pretrained_folders

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def pages() -> list[str]:
    """Return every page of the site, relative to the repository."""
    files = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "studies/README.md",
        ROOT / "csrc/README.md",
    ]
    return sorted(str(path.relative_to(ROOT)) for path in files)


PAGES = pages()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    number: int
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if its first line says so."""
        named = re.match(r"# (\S+\.(?:yaml|py|toml|csv))\b", self.text)
        return named[1] if named else None


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, numbered from 0."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, number, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for number, found in enumerate(FENCED.finditer(text))
    ]


# Pages whose commands and scripts are run from top to bottom, in a folder that has what they start from.
RUN = [page for page in PAGES if page.startswith("docs/how-to/")] + ["docs/quickstart.md"]
# Why a command of these pages is not run there; `test_doc_commands.py` runs it, and those of other pages.
NOT_RUN = {
    "pip ": "installs",
    "sbatch ": "needs SLURM",
    "tcp://": "waits for a device",
    "udp://": "waits for a device",
    "--dask": "needs a cluster",
    "patchtst-har train": "trains",
    "patchtst-har pretrain": "trains",
    "patchtst-har tune": "trains",
    "patchtst-har benchmark": "measures for minutes",
    "patchtst-har export": "compiles",
    "--model runs/walmsley/model": "was not trained",
}


def not_run(line: str) -> str | None:
    """Return why a command of these pages is not run where the others are."""
    return next((why for words, why in NOT_RUN.items() if words in line), None)


def commands(block: Block) -> list[str]:
    """Return the command lines of a block, continued lines joined."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


def words_of(line: str) -> list[list[str]]:
    """Return the words of each command of a pipe."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "|":
            found.append([])
        else:
            found[-1].append(word)
    return found


def check_command(words: list[str]) -> None:
    """Raise where a program, option, setting, target or file that a command names does not exist."""
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program, arguments = Path(words[0]).name, words[1:]
    assert program in CHECKS, f"nothing checks {program!r}"
    CHECKS[program](arguments)


def parsed(arguments: list[str]) -> click.Context:
    """Parse the arguments of patchtst-har without running anything; return the context of the subcommand."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command, info_name="patchtst-har")
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, arguments, parent=context)
        if hasattr(command, "resolve_command"):  # A group keeps what follows its own options.
            arguments = [*context._protected_args, *context.args]
    return context


def _patchtst_har(arguments: list[str]) -> None:
    values = parsed(arguments).params
    if values.get("overrides") or values.get("preset") or values.get("init"):
        overrides = [
            *(values["overrides"] or ()),
            *(f"data.split={name}" for name in [values.get("split")] if name),
        ]
        # A model folder that an earlier command makes is not there.
        init = values.get("init") and (
            values["init"] if values["init"] in pretrained_folders() else "wrist-base"
        )
        given = {"init": init, "fine_tune": values.get("fine_tune")}
        configure(None, overrides, values.get("preset"), "base", given)


def _make(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        pattern = rf"\$[({{]{name}\b" if is_variable else rf"^{re.escape(name)}:"
        assert name.startswith(".venv/.") or re.search(pattern, text, re.MULTILINE), f"make knows no {word}"


def _pip(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert arguments[0] == "install"
    for word in arguments[1:]:
        named = re.fullmatch(r"(?:\.|patchtst-har)\[(.*)\]", word)
        extras = named[1].split(",") if named else []
        assert set(extras) <= set(project["optional-dependencies"]), word
        assert named or word in (".", "torch", "--index-url", "https://download.pytorch.org/whl/cpu"), word


def _python(arguments: list[str]) -> None:
    if arguments[:2] == ["-m", "pytest"]:
        for word in arguments[2:]:
            assert not word.startswith(("benches", "tests")) or (ROOT / word).exists(), word
        return
    if arguments[0] == "-m" and arguments[1] == "patchtst_har":
        _patchtst_har(arguments[2:])
        return
    script = ROOT / (arguments[1].replace(".", "/") + ".py" if arguments[0] == "-m" else arguments[0])
    source = script.read_text(encoding="utf-8")
    for word in arguments[1:]:
        assert not word.startswith("--") or f'"{word}"' in source, f"{script.name} has no {word}"


def _sbatch(arguments: list[str]) -> None:
    assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= {
        "--array",
        "--cpus-per-task",
        "--dependency",
        "--wrap",
    }
    for pipe in words_of(arguments[arguments.index("--wrap") + 1].replace("$SLURM_ARRAY_TASK_ID", "1")):
        check_command(pipe)


def _torchrun(arguments: list[str]) -> None:
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(arguments)
    assert options.module
    assert options.training_script == "patchtst_har"
    _patchtst_har(options.training_script_args)


def _dask(arguments: list[str]) -> None:
    from distributed.cli import dask_scheduler, dask_worker

    program = {"scheduler": dask_scheduler, "worker": dask_worker}[arguments[0]]
    program.main.make_context(arguments[0], arguments[1:])


def _export(arguments: list[str]) -> None:
    (word,) = arguments
    name = word.partition("=")[0]
    assert any(name in path.read_text(encoding="utf-8") for path in (ROOT / "benches").glob("*.py")), name


def _cut(arguments: list[str]) -> None:
    assert [word[:2] for word in arguments if word.startswith("-")] == ["-d", "-f"]


CHECKS = {
    "patchtst-har": _patchtst_har,
    "make": _make,
    "pip": _pip,
    "python": _python,
    "python3": _python,
    "sbatch": _sbatch,
    "torchrun": _torchrun,
    "dask": _dask,
    "export": _export,
    "cut": _cut,
}


def known_options() -> set[str]:
    """Return every option of patchtst-har and of the scripts of the repository."""
    found: set[str] = set()
    waiting: list[Any] = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            found.update(parameter.opts, parameter.secondary_opts)
    for folder in ("benches", "fuzz", "studies"):
        for path in (ROOT / folder).rglob("*.py"):
            found.update(re.findall(r'"(--[a-z][\w-]*)"', path.read_text(encoding="utf-8")))
    return found


@cache
def project_entry_points() -> frozenset[str]:
    """Return the groups of entry points that the package looks for."""
    source = ROOT / "src" / "patchtst_har"
    text = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    return frozenset(re.findall(r'"(patchtst_har\.\w+)"', text))
