"""Tests of tf_metamapg/games."""
