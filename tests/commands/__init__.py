"""Tests of tf_metamapg/commands."""
