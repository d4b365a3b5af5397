"""Installation of tf_metamapg: which files are installed; what else there is to say stands in pyproject.toml."""

import setuptools

setuptools.setup(
    # The gin configs, which stand at the top level, travel inside of the package; so do loops that are compiled where
    # they are run, and the template of pages.
    packages=[*setuptools.find_packages(include=["tf_metamapg", "tf_metamapg.*"]), "tf_metamapg.gin_configs"],
    package_dir={"tf_metamapg.gin_configs": "gin_configs"},
    package_data={
        "tf_metamapg.gin_configs": ["*.gin"], "tf_metamapg.benchmarks": ["*.c", "*.h"],
        "tf_metamapg.runs": ["templates/*"],
    },
    py_modules=["tf_metamapg_commands"],
)
