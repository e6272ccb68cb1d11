"""Measures of values: counts of patterns, and the statistics that follow from them."""
