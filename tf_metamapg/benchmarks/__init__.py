"""What `bin/benchmark` times, and what it is compared with."""
