"""Policies: Keras models behind one functional interface (see `categorical.py`)."""
