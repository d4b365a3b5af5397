"""What meta-training has reported along its way, as it stands in the metrics.csv of a run with meta-agents."""

import csv
from typing import NamedTuple

import numpy as np

from tf_metamapg.runs import drawings
from tf_metamapg.runs import files

TERMS = ("current_policy", "self_shaping", "opponent_shaping")


class TrainingCurves(NamedTuple):
    """Of as many meta-updates as can be drawn; NaN is what there is not."""

    numbers: np.ndarray  # [U], of the meta-updates
    before: np.ndarray  # [S, U, n_agents], mean rewards before adaptation
    after: np.ndarray  # [S, U, n_agents], mean rewards after the last inner update of the stage
    norms: dict[str, np.ndarray]  # [S, U, n_agents], by TERMS


def read(csv_path: files.PathLike, n_seeds: int, n_agents: int) -> TrainingCurves:
    """Reads what is drawn, and keeps no more than that."""
    n_rows = n_seeds * n_agents
    with open(csv_path, newline="", encoding="utf-8") as file:
        n_updates = (sum(1 for _ in file) - 1) // n_rows
    numbers, table = [], []
    shown = {*drawings.shown_points(n_updates).tolist()} if n_updates else set()
    with open(csv_path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = next(rows)
        rewards = [index for index, name in enumerate(names) if name.startswith("average_reward_")]
        norms = [names.index(f"{term}_norm") for term in TERMS]
        for index, row in enumerate(rows):
            if index // n_rows in shown:
                after = next(row[column] for column in reversed(rewards) if row[column])
                cells = [row[rewards[0]], after, *(row[column] for column in norms)]
                table.append([float(cell or "nan") for cell in cells])
                if index % n_rows == 0:
                    numbers.append(int(row[0]))
    columns = np.reshape(table, [-1, n_seeds, n_agents, 2 + len(TERMS)]).transpose([3, 1, 0, 2])
    return TrainingCurves(np.array(numbers, int), columns[0], columns[1], dict(zip(TERMS, columns[2:])))
