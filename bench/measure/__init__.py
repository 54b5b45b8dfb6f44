"""Measures Satchel beside what it is compared with. Python's standard library alone; as root; see ../run."""
