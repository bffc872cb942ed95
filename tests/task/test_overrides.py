"""Settings from Python survive their text form, whatever their type."""

import datetime

from groundkit.task.overrides import as_overrides
from groundkit.task.spec import parse_spec


def test_values_of_every_toml_type_come_back():
    options = {
        "sizes": [3, 9],
        "layers": [{"width": 3, "kinds": ["a", "b"]}, {}],
        "a name": {"inner": {"rate": 0.5, "on": True}},
        "since": datetime.date(2026, 1, 2),
        "text": 'a "quoted" = line\nand another',
        "most": float("inf"),
    }
    given = {"networks.n.backbone": "own", "networks.n.options": options}
    spec = parse_spec("", None, as_overrides(given))
    assert spec.network("n").options == options
    assert parse_spec(spec.to_toml()) == spec
