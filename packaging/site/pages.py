"""What the site has beside docs/: the pages at the tree's root, and each command's help as the command prints it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from sipsieve_analysis.cli import main

ROOT = Path(__file__).resolve().parents[2]

#: Pages at the root, and what they are called on the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds them."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_linked(ROOT / name)))
    files.append(File.generated(config, "commands.md", content=commands()))
    return files


def on_config(config: Any) -> Any:
    """Pages that mkdocs.yml does not place stand at the end; decisions are reached from their list."""

    def placed(part: Any) -> set[str]:
        members = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        return {part} if isinstance(part, str) else {name for member in members for name in placed(member)}

    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md") if path.parent.name != "decisions"}
    if rest := sorted(pages - placed(config["nav"])):
        config["nav"].append({"More": rest})
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to files of the tree that are no pages into their names; one that leads nowhere ends the build."""
    if page.file.generated_by:
        return markdown
    return _names(markdown, Path(page.file.abs_src_path).parent)


def _linked(path: Path) -> str:
    """A page of the root, with links as they are from docs/."""
    return _names(path.read_text(encoding="utf-8"), ROOT)


def _names(markdown: str, folder: Path) -> str:
    def replaced(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        if not target.exists():
            raise PluginError(f"{folder.name}: the link to {match[1]} leads nowhere")
        if target.suffix in (".md", ".png") and target.is_relative_to(ROOT / "docs"):
            if folder == ROOT:
                return f"]({target.relative_to(ROOT / 'docs')}{match[2] or ''})"
            return match[0]
        if target.parent == ROOT and target.name in PAGES:
            up = "" if folder == ROOT else "../" * len(folder.relative_to(ROOT / "docs").parts)
            return f"]({up}{PAGES[target.name]}{match[2] or ''})"
        # Shown in brackets, as it is no page: the file's place in the source tree.
        return f"] (`{target.relative_to(ROOT)}`)"

    # Code is left as it is.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.M | re.S)
    done = [part if part.startswith("```") else _LINK.sub(replaced, part) for part in parts]
    return re.sub(r"\[([^\[\]]*)\] \((`[^`]*`)\)", r"\1 (\2)", "".join(done))


def commands() -> str:
    """A page with the help of all commands."""
    lines = ["# Commands", "", "What each command prints with `--help`.", ""]
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main, info_name="sipsieve"), name)
        assert command is not None
        lines += _help(command, f"sipsieve {name}", "##")
    return "\n".join(lines)


def _help(command: click.Command, name: str, heading: str) -> list[str]:
    context = click.Context(command, info_name=name, max_content_width=100, help_option_names=["-h", "--help"])
    context.terminal_width = 100
    lines = [f"{heading} {name}", "", "```text", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            below = command.get_command(context, sub)
            assert below is not None
            lines += _help(below, f"{name} {sub}", "###")
    return lines
