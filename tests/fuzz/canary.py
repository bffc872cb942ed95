"""Random programs that try to load, beside files that must stay unread."""

from __future__ import annotations

import random
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from problog.engine import DefaultEngine

from groundkit.errors import GroundkitError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.limits import OutOfTimeError
from groundkit.program.source import parse_program
from tests.hostile.crossing import SECRET, Watch

BUILTINS = sorted(DefaultEngine().get_builtins())
LOADERS = (
    "use_module", "_use_module", "consult", "_consult", "load_external", "include", "csv_load",
    "sqlite_load", "cmd_args", "set_state", "condition", "subquery",
)  # fmt: skip
ATOMS = (
    "'EVIL/evil.py'", "'EVIL/evil.pl'", "'EVIL/evil'", "'EVIL/data.csv'", "'EVIL/data.db'",
    "library(db)", "library(lists)", "library('../../EVIL/evil')", "[]", "[a]", "a", "1", "X", "Y",
    "_", "row", "\"ddnnf\"", "\"sdd\"", "['EVIL/evil.pl']", "f(X)", "-1", "[X|Y]", "x", "none",
)  # fmt: skip
METAS = (
    "findall(Z, {}, K)", "findall(_, {}, _)", "all(Z, {}, K)", "all_or_none(Z, {}, K)", "\\+ {}",
    "forall({}, {})", "call({})", "({}, {})", "({} ; {})", "once({})", "try_call({})",
    "subquery({}, P)", "subquery(true, P, [{}])", "possible({})", "call_nc({})",
    "subquery({}, P, [], \"prob\", \"sdd\")", "maplist(F, [{}])", "call_in_scope([a], {})",
)  # fmt: skip
INLINE = METAS[:5] + METAS[7:9]
SECONDS = 5


def goal(rng: random.Random, depth: int, helpers: list[str]) -> str:
    """Writes a goal; what ProbLog calls by name only becomes a clause among the helpers."""
    draw = rng.random()
    if depth and draw < 0.55:
        meta = rng.choice(METAS)
        goals = [goal(rng, depth - 1, helpers) for _ in range(meta.count("{}"))]
        if meta not in INLINE or rng.random() < 0.3:
            named = [f"h{len(helpers) + index}" for index in range(len(goals))]
            helpers += [f"{name} :- {body}." for name, body in zip(named, goals, strict=True)]
            goals = named
        return meta.format(*goals)
    if draw < 0.75:
        name = rng.choice(LOADERS)
        cut = rng.randrange(1, len(name))
        pieces = ", ".join(f"'{piece}'" for piece in (name[:cut], name[cut:]))
        arguments = ", ".join(rng.choice(ATOMS) for _ in range(rng.randint(0, 3)))
        call = rng.choice((
            f"call(F{', ' * bool(arguments)}{arguments})",
            f"G =.. [F{', ' * bool(arguments)}{arguments}], call(G)",
            f"G =.. [F{', ' * bool(arguments)}{arguments}], findall(Z, G, K)",
            f"functor(G, F, 0), call(G{', ' * bool(arguments)}{arguments})",
        ))  # fmt: skip
        return f"(concat([{pieces}], F), {call})"
    if draw < 0.8:
        return f"(L =.. ['.', {rng.choice(ATOMS)}, []], call(L))"
    if draw < 0.87:
        name, _, arity = rng.choice(BUILTINS).rpartition("/")
        arguments = ", ".join(rng.choice(ATOMS) for _ in range(int(arity)))
        return f"'{name}'({arguments})" if arguments else f"'{name}'"
    return rng.choice(("load", "run(X)", "ok", "X = 'EVIL/evil.py'", *ATOMS))


def write(rng: random.Random, folder: Path) -> str:
    """Writes a program whose goal is ``q``."""
    heads = ("q", "q", "load", "run(X)", "0.5::q", ":-", "evidence(load)", "0.3::a ; 0.3::b")
    helpers: list[str] = []
    lines = [":- use_module(library(string)).", "ok.", f"q :- {goal(rng, 3, helpers)}."]
    lines += [":- use_module(library(apply)).", "load :- ok.", "run(_) :- ok."]
    for _ in range(rng.randint(0, 3)):
        head = rng.choice(heads)
        body = goal(rng, 2, helpers)
        lines.append(f":- {body}." if head == ":-" else f"{head} :- {body}.")
    lines += helpers
    rng.shuffle(lines)
    text = "\n".join(lines)
    for _ in range(rng.choice((0,) * 8 + (1, 2))):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(("", "(", ")", ",", "'", "_", ".")) + text[place + 1 :]
    return text.replace("EVIL", str(folder))


@contextmanager
def _clock() -> Iterator[None]:
    """Ends what takes longer than a program may."""

    def alarm(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(text: str, folder: Path, watch: Watch) -> tuple[str, list[str]]:
    """Grounds a program in this process.

    Returns:
        ``grounded``, ``refused`` or ``stopped``, and the effects that were seen.
    """
    outcome, out = "grounded", ""
    with warnings.catch_warnings(), watch.over(folder) as seen:
        warnings.simplefilter("ignore")
        try:
            with _clock():
                out = str(ground(Shape(parse_program(text, folder / "main.pl"), parse_goal("q"))))
        except GroundkitError as error:
            outcome, out = "refused", str(error)
        except (OutOfTimeError, MemoryError, RecursionError):
            outcome = "stopped"
    return outcome, seen + ([f"says {SECRET}"] if SECRET in out else [])
