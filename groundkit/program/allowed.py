"""Which of ProbLog's built-in predicates and libraries a program from a stranger may use.

The lists name what somebody has looked at (ProbLog 2.3.0). Whatever is not on them, such as a
built-in predicate that a later release adds, is refused by name until it is added here: with
``--trust``, everything may be used.
"""

from __future__ import annotations


def _signatures(name: str, *arities: int) -> frozenset[str]:
    return frozenset(f"{name}/{arity}" for arity in arities)


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMPUTING = _listed(
    """
    true/0 fail/0 false/0 =/2 \\=/2 ==/2 \\==/2 is/2 >/2 </2 =</2 >=/2 =\\=/2 =:=/2
    var/1 atom/1 atomic/1 compound/1 float/1 rational/1 integer/1 nonvar/1 number/1 simple/1
    callable/1 dbreference/1 primitive/1 ground/1 is_list/1 =../2 arg/3 functor/3
    @>/2 @</2 @>=/2 @=</2 compare/3 length/2 sort/2 between/3 succ/2 plus/3 atom_number/2
    numbervars/2 numbervars/3 varnumbers/2 subsumes_term/2 subsumes_chk/2 seq/1
    sample_uniform1/3
    """
)
"""They compare, build and take apart terms."""

OF_THE_PROGRAM = _listed(
    "clause/2 clause/3 unknown/1 module/2 nocache/2 create_scope/2 find_scope/2 trace/0 notrace/0"
)
"""They read the program's own clauses, or set how the engine treats them."""

PRINTING = _signatures("nl", 0) | frozenset().union(
    *(
        _signatures(name, *range(1, 10))
        for name in ("write", "writeln", "writenl", "debugprint", "error")
    )
)
"""They print; the grounding process has its output on stderr."""

CALLING = _listed(
    "findall/3 all/3 all_or_none/3 once/1 possible/1 subquery/2 subquery/3 subquery/5 "
    "subquery_in_scope/3 subquery_in_scope/4 subquery_in_scope/6"
) | frozenset().union(
    _signatures("call", *range(1, 10)),
    _signatures("call_nc", *range(1, 10)),
    _signatures("try_call", *range(1, 10)),
    _signatures("call_in_scope", *range(2, 11)),
)
"""They evaluate a goal: with the same engine, on the same database or an extension of it."""

IMPORTING = _listed("use_module/1 use_module/2 _use_module/2 _use_module/3")
"""They load; what they load the database decides, see ``GuardedDatabase.use_module``."""

BUILTINS = COMPUTING | OF_THE_PROGRAM | PRINTING | CALLING | IMPORTING
"""Built-in predicates of the engine that a program which is not trusted may call."""

LIBRARIES = frozenset(
    {"lists", "apply", "aggregate", "collect", "control", "cut", "string", "builtin", "scope"}
)
"""Libraries of the problog package that only compute."""

EXTERNS = _listed(
    "ground_list/2 memberchk_ground/2 enum_groups/3 enum_groups/4 "
    "concat/2 join/3 str2lst/2 lst2str/2 str2int/2"
)
"""Predicates that these libraries define in Python."""

EVALUATORS = frozenset({"sdd", "sddx", "bdd", "fsdd", "fbdd"})
"""Evaluators of subquery/5 and subquery_in_scope/6; the others start a compiler and write files."""

OF_APPLY: dict[str, tuple[int, ...]] = {
    **{f"{name}/{n}": (0,) for name in ("maplist", "foldl", "scanl") for n in range(2, 8)},
    **{f"{name}/3": (0,) for name in ("include", "exclude", "convlist", "foldl_noinit")},
    **{f"partition/{n}": (0,) for n in (4, 5)},
}
"""The part of :data:`GOAL_ARGUMENTS` that is library(apply)'s. That library is a module: what the
program defines by the same name and arity takes its place. Clauses of a library that is no module
would join the program's own, and a built-in predicate cannot be defined."""

GOAL_ARGUMENTS: dict[str, tuple[int, ...]] = {
    "findall/3": (1,),
    "all/3": (1,),
    "all_or_none/3": (1,),
    "forall/2": (0, 1),
    "once/1": (0,),
    "not/1": (0,),
    "\\+/1": (0,),
    "->/2": (0, 1),
    "*->/2": (0, 1),
    "possible/1": (0,),
    "aggregate/5": (3,),
    "=>/2": (0,),
    "cut/1": (0,),
    "cut/2": (0,),
    "on_fail/2": (0, 1),
    "query/1": (0,),
    "evidence/1": (0,),
    "evidence/2": (0,),
    "subquery/2": (0,),
    "subquery/3": (0, 2),
    "subquery/5": (0, 2),
    "subquery_in_scope/3": (1,),
    "subquery_in_scope/4": (1, 3),
    "subquery_in_scope/6": (1, 3),
    **{f"{name}/{n}": (0,) for name in ("call", "call_nc", "try_call") for n in range(1, 10)},
    **{f"call_in_scope/{n}": (1,) for n in range(2, 11)},
    **OF_APPLY,
}
"""Which arguments of a predicate are goals, or lists of goals, counted from 0."""
