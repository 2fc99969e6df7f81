# SPDX-License-Identifier: GPL-2.0-only
"""The commands in a script that dpkg runs when it installs a package. None is executed.

A script is read line by line, with its variables, loops over words and functions; whatever its
conditions say, the commands in them are taken. What only running it would tell is UNKNOWN, and what
depends on that, such as a question that Debian's installer would ask, is not certain.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

UNKNOWN = "\0"
"""Stands for a word, or a part of it, that only running the script would tell."""

TEMPORARY = "/tmp/temporary."
"""How a name begins that mktemp(1) would choose."""

_SHELL_WORDS = {"if", "then", "else", "elif", "while", "do", "!", "{", "}", "(", ")", "time"}
_CONDITIONS = {"if", "then", "elif", "else", "fi", "case", "esac"}
_TESTS = {"[", "[[", "test"}
_OF_FILES = re.compile(r"-[bcdefghkprsuwxGLOS]")
_DECLARATIONS = {"local", "export", "readonly"}
_ARGUMENTS = ("configure", "")  # which dpkg gives: nothing was installed before
_MOST = 64  # words that a loop's variables stand for
_DEEPEST = 4  # calls of functions within each other

_MKTEMP = re.compile(r"\$\(\s*mktemp\b[^()]*\)|`\s*mktemp\b[^`]*`")
_FUNCTION = re.compile(r"(\s*)(?:function\s+)?([\w-]+)\s*\(\)\s*(.*)")
_HERE = re.compile(r"(?<!<)<<-?\s*['\"]?([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Command:
    """A simple command."""

    words: list[str]
    certain: bool  # it does not depend on what is unknown, but for which files there are
    asks: bool = False  # it is a condition


def commands(text: str) -> Iterator[Command]:
    """Yield the simple commands of a script."""
    yield from _Script(text).commands()


class _Conditions:
    """In which conditions a line is."""

    def __init__(self) -> None:
        self._uncertain: list[bool] = []  # the outer ones first
        self.asking = False

    @property
    def certain(self) -> bool:
        return not any(self._uncertain)

    def read(self, words: list[str]) -> None:
        """Take note of a shell's word, or of what a condition asks for."""
        unknown = any(UNKNOWN in word for word in words)
        if words[0] in ("if", "case"):
            self._uncertain.append(words[0] == "case" and unknown)
            self.asking = words[0] == "if"
        elif words[0] in ("fi", "esac"):
            del self._uncertain[-1:]
        elif words[0] in ("then", "elif"):
            self.asking = words[0] == "elif"
        elif self.asking and self._uncertain and words[0] in _TESTS and unknown:
            self._uncertain[-1] |= not any(map(_OF_FILES.fullmatch, words[1:]))


class _Script:
    def __init__(self, text: str) -> None:
        self._functions: dict[str, list[str]] = {}
        self._variables: dict[str, list[str]] = {"DPKG_MAINTSCRIPT_ARCH": ["amd64"]}
        self._main = self._without_functions(_lines(text))

    def commands(self) -> Iterator[Command]:
        yield from self._run(self._main, None, 0)

    def _without_functions(self, lines: list[str]) -> list[str]:
        """Take functions apart; return the other lines."""
        rest: list[str] = []
        pending = iter(range(len(lines)))
        for i in pending:
            match = _FUNCTION.fullmatch(lines[i])
            if not match:
                rest.append(lines[i])
                continue
            indent, name, body = match.groups()
            body = body.removeprefix("{").strip()
            if body.endswith("}"):
                self._functions[name] = [body.removesuffix("}")]
                continue
            end = next(
                (j for j in range(i + 1, len(lines)) if lines[j].rstrip() == f"{indent}}}"), i
            )
            self._functions[name] = [body, *lines[i + 1 : end]]
            for _ in range(end - i):
                next(pending)
        return rest

    def _run(self, lines: list[str], arguments: list[str] | None, depth: int) -> Iterator[Command]:
        """Yield the commands of a function's body, or of the script itself without arguments."""
        conditions = _Conditions()
        for line in lines:
            for words in _simple_commands(line):
                for command in self._expanded(words, arguments):
                    conditions.read(command)
                    body = self._functions.get(command[0])
                    if command[0] == "shift":
                        del (arguments or [])[:1]
                    elif body is not None and depth < _DEEPEST:
                        for inner in self._run(body, command[1:], depth + 1):
                            certain = inner.certain and conditions.certain
                            yield Command(inner.words, certain, inner.asks or conditions.asking)
                    elif command[0] not in _CONDITIONS:
                        yield Command(command, conditions.certain, conditions.asking)

    def _expanded(self, words: list[str], arguments: list[str] | None) -> Iterator[list[str]]:
        """Yield a command for each value of a loop's variables; take note of what variables are."""
        if words[:1] == ["for"] and words[2:3] == ["in"]:
            values = [value for word in words[3:] for value in self._values(word, arguments)]
            self._variables[words[1]] = " ".join(values).split()
            return
        if words[:1] == ["unset"]:
            self._variables |= {name: [""] for name in words[1:]}
            return
        if words and words[0] in _DECLARATIONS:
            words = words[1:]
        if words and (match := re.fullmatch(r"(\w+)=(.*)", words[0], re.DOTALL)):
            if len(words) == 1:
                values = self._values(match[2], arguments)
                # It may be in a condition: what it was before is the better guess.
                if UNKNOWN not in "".join(values) or match[1] not in self._variables:
                    self._variables[match[1]] = values
            return
        all_words: list[tuple[str, list[str]]] = []
        for word in words:
            if word in ("$@", "$*"):
                given = [UNKNOWN] if arguments is None else arguments
                all_words += [(each, [each]) for each in given]
            else:
                all_words.append((word, self._values(word, arguments)))
        count = max((len(values) for _, values in all_words), default=0)
        if count > _MOST or not all(values for _, values in all_words):
            return
        for i in range(count):
            chosen = ((word, values[i % len(values)]) for word, values in all_words)
            # A variable without a value is no word.
            command = [value for word, value in chosen if value or not word]
            if command:
                yield command

    def _values(self, word: str, arguments: list[str] | None) -> list[str]:
        """Return what a word may stand for."""
        match = _VARIABLE.search(word)
        if not match:
            return [UNKNOWN] if set(word) & set("$`*?") else [word]
        name = match[1] or match[2]
        if name.isdigit():
            place = int(name) - 1
            known = arguments is not None and 0 <= place < len(arguments)
            values = [arguments[place]] if arguments and known else [UNKNOWN]
            if arguments is None and place in range(len(_ARGUMENTS)):
                values = [_ARGUMENTS[place]]
        else:
            values = self._variables.get(name, [UNKNOWN])
        head, tail = word[: match.start()], word[match.end() :]
        return [
            UNKNOWN if UNKNOWN in value else whole
            for value in values
            for whole in self._values(head + value.replace("$", UNKNOWN) + tail, arguments)
        ]


def _lines(text: str) -> list[str]:
    """Return the lines of a script, without texts that are for a command's input."""
    count = 0

    def temporary(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"{TEMPORARY}{count}"

    text = _MKTEMP.sub(temporary, re.sub(r"\\\n", " ", text))
    lines: list[str] = []
    end = ""
    all_lines = text.splitlines()
    for i, line in enumerate(all_lines, 1):
        if end:
            end = "" if line.strip() == end else end
            continue
        match = _HERE.search(line)
        if match and any(later.strip() == match[1] for later in all_lines[i:]):
            end = match[1]
        lines.append(line)
    return lines


def _simple_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, but for where its output goes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.wordchars += "$`:,+%!{}@[]^"
    try:
        words = list(lexer)
    except ValueError:  # a quotation that goes on
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= set(";&|()"):
            redirected = next((i for i, each in enumerate(command) if each[:1] in ("<", ">")), None)
            if redirected is not None:
                if redirected and command[redirected - 1].isdigit():
                    redirected -= 1
                command = command[:redirected]
            if command:
                yield command
            command = []
        elif command or word not in _SHELL_WORDS:
            command.append(word)
        elif word in _CONDITIONS:
            yield [word]
