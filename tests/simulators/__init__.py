"""Tests of tf_metamapg/simulators."""
