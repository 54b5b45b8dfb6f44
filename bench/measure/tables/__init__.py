"""One module a table of docs/BENCHMARKS.md; each has run(satchel, results, repetitions)."""
