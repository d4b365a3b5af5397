"""Tests of tf_metamapg/estimators."""
