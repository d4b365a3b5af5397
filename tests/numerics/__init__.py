"""Tests of tf_metamapg/numerics."""
