"""Random numbers, loops over time, look-ups, products and sums over time that compile and differentiate well."""
