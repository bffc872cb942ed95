"""Reads a user's table of examples as a task does, for a goal of an image and a symbol."""

from groundkit.data.tables import read_raw
from groundkit.task.contents import Contents

SHAPE = (1, 8, 8)


def read_written(path, variables=("X", "Z"), inputs=("X",)):
    """Reads the rows of a table and every image that they name."""
    rows = read_raw(path, variables, inputs)
    contents = Contents(str(path))
    keys = [
        (contents.add_file(path.parent, image, row.at),)
        for row in rows
        for name in inputs
        for image in ([row.values[name]] if isinstance(row.values[name], str) else row.values[name])
    ]
    return rows, contents.read(keys, SHAPE)
