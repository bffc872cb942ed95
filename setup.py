"""The packages, and programs/ as one of them; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["groundkit", "groundkit.*"]), "groundkit.programs"],
    package_dir={"groundkit.programs": "programs"},
    package_data={
        "groundkit": [
            "py.typed",
            "*.pyi",
            "report/templates/*",
            "presets/*.toml",
            "demo/static/*",
        ],
        "groundkit.programs": ["*.pl", "*.toml", "*.md"],
    },
    include_package_data=False,
)
