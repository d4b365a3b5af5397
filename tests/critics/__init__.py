"""Tests of tf_metamapg/critics."""
