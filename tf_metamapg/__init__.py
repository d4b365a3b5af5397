"""Learning to learn among other learners: Meta-MAPG and its relatives on TensorFlow and Keras."""
