"""A run in a notebook, with a real kernel."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

FIT = """
from sklearn.datasets import load_iris
from stacktune import AutoMLClassifier

X, y = load_iris(return_X_y=True, as_frame=True)
model = AutoMLClassifier(max_trials=2, families=["linear"], folds=2, cpus=1).fit(X, y)
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> list[list[dict]]:
    """What each cell shows."""
    cells = [nbformat.v4.new_code_cell(source) for source in (FIT, "model", "model.predict(X)[:3]")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    where = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    return [cell["outputs"] for cell in notebook.cells]


def test_the_cell_shows_the_run_as_it_goes_and_nothing_else(outputs):
    # Where Jupyter's widgets are not installed, Ray says so whenever it is imported.
    (shown,) = [one for one in outputs[0] if "ipywidgets" not in one.get("text", "")]
    assert shown["output_type"] == "display_data"
    page = shown["data"]["text/html"]
    assert "target has 3 classes" in page
    assert "explaining" in page


def test_a_fitted_model_shows_what_it_has_come_to(outputs):
    (shown,) = outputs[1]
    assert "leads with log_loss" in shown["data"]["text/html"]
    assert "linear-0000" in shown["data"]["text/html"]
    (predicted,) = outputs[2]
    assert predicted["data"]["text/plain"] == "array([0, 0, 0])"
