"""Tests of tf_metamapg/runs."""
