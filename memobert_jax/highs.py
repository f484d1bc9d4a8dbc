"""Linear programs by HiGHS, in one thread and never ended by the clock: equal on equal hosts."""

from collections.abc import Mapping
from typing import Any

import highspy
import numpy as np

_SIMPLEX = {
    "presolve": "off",
    "solver": "simplex",
    "simplex_strategy": 4,  # primal: what was feasible is so with more columns
}
_END = highspy.HighsModelStatus.kOptimal


class Program:
    """The least cost of columns, of which at least `least` and at most `most` is used in each row.

    Args:
      least, most: f64 [rows].
      options: of HiGHS; without any, a program whose columns are no whole numbers, and that goes
        on from its last solution when columns are added.
    """

    def __init__(
        self, least: np.ndarray, most: np.ndarray, options: Mapping[str, Any] | None = None
    ):
        self.solver = highspy.Highs()
        base = {"output_flag": False, "threads": 1}
        for name, value in (base | dict(_SIMPLEX if options is None else options)).items():
            if self.solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise ValueError(f"highspy {self.solver.version()}: no option {name} = {value!r}")
        none, number = np.zeros(0, np.int32), len(least)
        starts = np.zeros(number, np.int32)
        rows = least.astype(float), most.astype(float)
        self._check(self.solver.addRows(number, *rows, 0, starts, none, np.zeros(0)))

    def add(
        self,
        costs: np.ndarray,
        most: np.ndarray,
        starts: np.ndarray,
        rows: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Columns from 0 to `most`; from `starts` on stand the rows and values of each."""
        number, least = len(costs), np.zeros(len(costs))
        held = len(rows), starts.astype(np.int32), rows.astype(np.int32), values.astype(float)
        bounds = costs.astype(float), least, most.astype(float)
        self._check(self.solver.addCols(number, *bounds, *held))

    def make_whole(self) -> None:
        """Lets every column be used a whole number of times only."""
        number = self.solver.getNumCol()
        whole = np.full(number, highspy.HighsVarType.kInteger)
        columns = np.arange(number, dtype=np.int32)
        self._check(self.solver.changeColsIntegrality(number, columns, whole))

    def solve(self) -> tuple[np.ndarray, np.ndarray, float] | None:
        """(columns used, prices of the rows, cost), or None if it was not solved to its end.

        Raises:
          RuntimeError: if HiGHS fails.
        """
        if not self.run() or self.solver.getModelStatus() != _END:
            return None
        found = self.solver.getSolution()
        cost = self.solver.getInfo().objective_function_value
        return np.array(found.col_value), np.array(found.row_dual), cost

    def run(self) -> bool:
        """Whether HiGHS came to its end or to the limit of its nodes; what it proved holds then.

        Raises:
          RuntimeError: if it fails, as it does where this process used it with more threads before.
        """
        self._check(self.solver.run())
        return self.solver.getModelStatus() in (_END, highspy.HighsModelStatus.kSolutionLimit)

    def _check(self, status: highspy.HighsStatus) -> None:
        if status == highspy.HighsStatus.kError:
            found = self.solver.modelStatusToString(self.solver.getModelStatus())
            raise RuntimeError(
                f"HiGHS {self.solver.version()} failed ({found}); where this process has used "
                "highspy with more than one thread, start another one"
            )
