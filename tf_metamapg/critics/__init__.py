"""Critics: value estimates that are subtracted from returns to reduce variance."""
