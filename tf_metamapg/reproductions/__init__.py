"""Results of the literature, each reproduced by one module: `bin/reproduce NAME`.

A module has `reproduce(directory)`, which writes figure.png, numbers.csv and table.md there; `catalogue.py` says what
each result is. If it says that runs of one are independent, its module has `runs()`, too: a dict of `protocols.Run` of
all that `reproduce` trains, by whatever tells them apart.
"""
