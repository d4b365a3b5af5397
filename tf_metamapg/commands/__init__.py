"""The commands: `bin/train`, `bin/reproduce`, `bin/benchmark`."""
