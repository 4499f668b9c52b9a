"""Generates the typed client: schemas and templates in, a package out.

::

    schemas/ ─load─▶ ModelSchema ─normalise─▶ Model ─name─▶ Module ─classes─▶ Code ─render─▶ Tree
                                      Tree ─verify─▶ ─format─▶ Tree ─┬─ write ▶ generated/
                                                                     └─ diff  ▶ check

Each stage is a module, and plain data passes between them. Only `load` reads schema files and only
`tree` touches the output.
"""
