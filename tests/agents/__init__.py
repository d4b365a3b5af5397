"""Tests of tf_metamapg/agents."""
