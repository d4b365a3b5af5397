"""Tests of tf_metamapg/training."""
