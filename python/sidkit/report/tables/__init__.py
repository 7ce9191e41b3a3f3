"""Markdown tables and plots of stored results, and the command that updates them in documents.

python -m sidkit.report.tables benches/results docs/results/*.md [--check]

stored       stored results, grouped by protocol; `sidkit store` writes them
independent  results that others published
results      accuracy of all models of a dataset
baselines    paired comparisons with the strongest baseline
recipes      settings of the trainings
beams        accuracy and speed by beam width
tokenizers   comparison of tokenizers
ranking      Semantic IDs in ranking models
search       retrievers on document collections
documents    marked blocks of Markdown files
"""
