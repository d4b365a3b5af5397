"""Tests of tf_metamapg."""
