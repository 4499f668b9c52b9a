"""Schemas made into importable modules, without files of their own."""

import importlib
import json
from itertools import count
from pathlib import Path
from typing import Any

from runcomfy_codegen.errors import Problem
from runcomfy_codegen.load import ModelSchema
from runcomfy_codegen.pipeline import Understood, build, understand


class Workshop:
    """A package that grows by the models of each example, and stays importable."""

    def __init__(self, folder: Path, package: str) -> None:
        self._folder = folder
        self._package = package
        self._numbers = count()

    def modules(self, entries: list[Any]) -> tuple[list[Any], list[Problem]]:
        """The imported modules of some schemas, None for a refused one, and all that is wrong with those."""
        example = f"e{next(self._numbers)}"
        schemas = [
            ModelSchema(f"{example}/m{index}", f"schemas/{example}/m{index}.json", as_written(entry))
            for index, entry in enumerate(entries)
        ]
        found = understand(schemas)
        for module in found.modules:
            file = self.schemas / f"{module.model.model_id}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(module.model.entry))
        tree = build(found, self._package, keep_going=True) if found.modules else {}
        new = {path: text for path, text in tree.items() if f"/{example}/" in path}
        if not (self._folder / self._package).exists():
            new = tree
        for path, text in new.items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / path).write_bytes(text.encode())
        importlib.invalidate_caches()
        made = {
            module.model.model_id: importlib.import_module(f"{self._package}.models.{'.'.join(module.path)}")
            for module in found.modules
        }
        return [made.get(schema.model_id) for schema in schemas], found.problems

    @property
    def schemas(self) -> Path:
        """The schemas that were not refused, as files."""
        return self._folder / "schemas"

    @property
    def models(self) -> Path:
        """The generated modules."""
        return self._folder / self._package / "models"


def as_written(entry: Any) -> Any:
    """An entry after its way through a file: what JSON cannot say is gone."""
    return json.loads(json.dumps(entry))


def understood(input_schema: Any, **entry: Any) -> Understood:
    """What is understood of one schema, of the model ``acme/m``."""
    return understand([ModelSchema("acme/m", "schemas/acme/m.json", {**entry, "input_schema": input_schema})])
