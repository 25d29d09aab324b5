"""Explains what a leader predicts by: columns, values, rows."""
