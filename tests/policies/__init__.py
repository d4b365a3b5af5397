"""Tests of tf_metamapg/policies."""
