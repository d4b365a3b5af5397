"""Meta-training: meta-gradients into meta-parameters."""
