"""Installation of tf_metamapg."""

import setuptools

setuptools.setup(
    name="tf_metamapg",
    version="0.1.0",
    description="Learning to learn among other learners: Meta-MAPG on TensorFlow and Keras",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["tf_metamapg", "tf_metamapg.*"]),
    python_requires=">=3.10,<3.14",
    # The ranges are those that the test suite has passed with.
    install_requires=[
        "absl-py>=2.3,<3",
        "gin-config>=0.5,<0.6",
        "keras>=3.10,<4",
        "matplotlib>=3.10,<4",
        "numpy>=1.26,<3",
        "tensorboard>=2.21,<2.22",
        "tensorflow>=2.21,<2.22",
        "tensorflow-probability[tf]>=0.25,<0.26",
        "tqdm>=4.66,<5",
    ],
    extras_require={"test": ["pytest>=8,<10", "pytest-xdist>=3.6,<4", "ruff>=0.12"]},
)
