"""DeepLog's side of :mod:`benchmarks.engine`, for an interpreter that has pydeeplog 5.

``python -m benchmarks.engine_deeplog NAME`` prints one line of JSON. DeepLog gets the program's own
text, its queries as ``?- goal.``; sums over digits are put into the forms that it reads: every
disjunction ground and without a body, arithmetic as terms and a step at a time.
"""

import json
import re
import sys

from deeplog import Compiler
from deeplog.grounding.prolog import str_to_rules
from deeplog.systems.deepproblog import SimpleGrounder, Solver, compile_to_module

from benchmarks.engine_programs import PROGRAMS

SUMS = {
    "multiplication 2 digits": ("AB", ["R", "*(A,B)"]),
    "multiplication 4 digits": (
        "ABCD",
        [*("S", "*(A,10)", "T", "+(S,B)", "U", "*(C,10)", "V", "+(U,D)"), *("R", "*(T,V)")],
    ),
    "three numbers": ("ABC", ["S", "+(A,B)", "R", "+(S,C)"]),
    "naive addition N=3": (
        "ABCDEF",
        [
            *("S", "*(A,100)", "T", "*(B,10)", "U", "+(S,T)", "V", "+(U,C)"),
            *("W", "*(D,100)", "X", "*(E,10)", "Y", "+(W,X)", "Z", "+(Y,F)", "R", "+(V,Z)"),
        ],
    ),
}


def text_of(name: str) -> str:
    """Returns a program as DeepLog reads it."""
    if name not in SUMS:
        return re.sub(r"query\((.*)\)\.", r"?- \1.", PROGRAMS[name]())
    digits, steps = SUMS[name]
    lines = [
        "; ".join(f"0.1::digit({digit.lower()},{value})" for value in range(10)) + "."
        for digit in digits
    ]
    reads = [f"digit({digit.lower()},{digit})" for digit in digits]
    sums = [f"is({to},{what})" for to, what in zip(steps[::2], steps[1::2], strict=True)]
    return "\n".join([*lines, f"result(R) :- {', '.join([*reads, *sums])}.", "?- result(R)."])


def main(name: str) -> None:
    """Answers a program's query, or says why not."""
    text = text_of(name)
    if "evidence(" in text:
        print(json.dumps({"failed": "reads no evidence/2"}))
        return
    try:
        found = Solver(SimpleGrounder()).get_query_result(tuple(str_to_rules(text)))
        values = compile_to_module(found, Compiler())()[0].tolist()
        names = [f"{functor}({','.join(args)})" for functor, args in found.formulas]
        print(json.dumps({"answers": dict(zip(names, values, strict=True))}))
    except Exception as error:
        words = " ".join(str(error).split())[:160]
        print(json.dumps({"failed": f"{type(error).__name__}: {words}"}))


if __name__ == "__main__":
    main(sys.argv[1])
