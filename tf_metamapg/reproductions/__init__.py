"""Results of the literature, each reproduced by one module: `bin/reproduce NAME`.

A module has `reproduce(directory)`, which writes figure.png, numbers.csv and table.md there; `catalogue.py` says what
each result is.
"""
