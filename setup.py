"""Installation of tf_metamapg; what is installed stands in pyproject.toml."""

import setuptools

setuptools.setup()
