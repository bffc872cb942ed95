"""What is asked to hold for one question only: a symbol that is set, a fact, evidence."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from groundkit.data.features import INPUT_SUFFIXES
from groundkit.errors import DataError, NetworkError, ProgramError, choose_from
from groundkit.program.facts import check_asked, parse_facts, with_facts
from groundkit.program.goal import check_goal
from groundkit.program.query import Question, pose
from groundkit.program.source import Program, parse_program
from groundkit.symbols import Values

_SET = re.compile(r"\s*(?P<predicate>[a-z]\w*)\s*\((?P<inputs>.+)\)\s*=(?P<symbol>[^=]+)", re.S)


@dataclass(frozen=True)
class WhatIf:
    r"""Changes for one question.

    Attributes:
        fixed: Symbols that are set whatever the networks see: ``digit('a.png') = 3``.
        facts: Ground facts beside the program: ``edge(a, b)``.
        evidence: What is known to hold: ``lucky``, or not to hold: ``\+lucky``.
    """

    fixed: Sequence[str] = ()
    facts: Sequence[str] = ()
    evidence: Sequence[str] = ()

    def program(
        self, program: Program, declared: Collection[str], asked: Collection[str]
    ) -> Program:
        """Returns the program with the facts and the evidence.

        Args:
            program: A program.
            declared: Predicates that are known even without a fact.
            asked: Predicates of the question.

        Raises:
            ProgramError: A fact is none or nothing asks for it, or the evidence is no goal without
                variables.
        """
        if self.facts or declared:
            facts = parse_facts(self.facts)
            if facts:
                check_asked(program, facts, {*declared, *asked})
            program = with_facts(program, facts, declared)
        if not self.evidence:
            return program
        lines = [program.text.rstrip()]
        for text in self.evidence:
            goal = pose(text, INPUT_SUFFIXES).goal  # an image in it becomes a variable
            if goal.variables or len(goal.predicates) != 1:
                raise ProgramError(
                    f"the evidence '{text}' is not one fact",
                    expected="a fact without variables and images, such as lucky or \\+lucky",
                    remedy="what an image shows is set with --set \"digit('a.png')=3\"",
                )
            check_goal(program, goal)
            lines.append(f"evidence({goal.text}).")
        return parse_program("\n".join([*lines, ""]), program.file, program.trust)

    def symbols(
        self,
        program: Program,
        posed: Question,
        readers: Mapping[str, Sequence[str]],
        places: Mapping[str, str],
    ) -> dict[tuple[str, str], int]:
        """Finds the inputs whose symbols are set.

        Args:
            program: The program.
            posed: The question.
            readers: Its inputs, with the networks that read each.
            places: Variable of the spec's goal -> what stands in its place in the question.

        Returns:
            Network and input -> position of the symbol in the network's domain.

        Raises:
            DataError: A text is no such setting, or names no input or no symbol.
            NetworkError: No network has such a predicate.
        """
        found: dict[tuple[str, str], int] = {}
        for text in self.fixed:
            match = _SET.fullmatch(text)
            if match is None:
                raise DataError(
                    f"'{text}' sets no symbol",
                    expected="a neural predicate, its image and a symbol",
                    remedy="for instance --set \"digit('a.png')=3\"",
                )
            networks = {
                name: p
                for name, p in program.networks.items()
                if p.predicate.rpartition("/")[0] == match["predicate"]
            }
            if not networks:
                known = [p.predicate.rpartition("/")[0] for p in program.networks.values()]
                raise NetworkError(
                    f"no network gives {match['predicate']} its symbols",
                    remedy=choose_from(match["predicate"], known),
                )
            name = _input(match["inputs"], posed, places)
            asked = [network for network in readers.get(name, ()) if network in networks]
            if not asked:
                shown = [posed.images.get(one, one) for one in readers]
                raise DataError(
                    f"{match['predicate']} of {match['inputs']} is not asked in {posed.text}",
                    remedy=choose_from(match["inputs"], shown),
                )
            for network in asked:
                symbols = Values(networks[network].domain)
                what = f"symbol of network '{network}'"
                place = symbols.position(match["symbol"].strip(), what)
                if found.setdefault((network, name), place) != place:
                    raise DataError(
                        f"{match['predicate']} of {match['inputs']} is set to two symbols",
                        remedy="set it once",
                    )
        return found


def _input(written: str, posed: Question, places: Mapping[str, str]) -> str:
    """Names an input as the circuit does, from image files or variables."""
    names = []
    for part in re.findall(r"'[^']*'|\"[^\"]*\"|[^,]+", written):
        plain = part.strip().strip("'\"")
        by_path = posed.names
        names.append(by_path.get(plain) or places.get(plain) or plain)
    return ",".join(names)
