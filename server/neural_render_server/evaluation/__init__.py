"""Judging trained scenes: metrics beyond the trainer's, comparisons, and the HTML report."""
