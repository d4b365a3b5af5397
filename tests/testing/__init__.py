"""Tests of tf_metamapg/testing: the members of the package pass the tests for members."""
