"""Results of the literature, each reproduced by one module: `bin/reproduce NAME`.

A module has TITLE, SOURCE (where in the literature the result is), DURATION (how long it takes on two
cores) and `reproduce(directory)`, which writes figure.png, numbers.csv and table.md there.
"""
