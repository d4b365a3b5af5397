"""What can be reproduced, by name: a module of this folder writes each."""

from typing import NamedTuple


class Reproduction(NamedTuple):
    """What a result is."""

    title: str
    source: str  # where in the literature it is
    duration: str  # on two cores
    # Whether it is made of runs, in `runs()` of its module, none of which needs another.
    has_independent_runs: bool = False


REPRODUCTIONS = {
    "figure_1": Reproduction("Learning paths in the bilinear zero-sum game", "Figure 1 of Kim et al. 2020", "15 s"),
    "figure_2": Reproduction("What Meta-PG and Meta-MAPG differentiate through", "Figure 2 of Kim et al. 2020", "20 s"),
    "figure_3": Reproduction(
        "Learning to learn in the iterated prisoner's dilemma",
        "Figure 3 of Kim et al. 2020",
        "2 min",
        has_independent_runs=True,
    ),
    "exact_ipd": Reproduction(
        "Agents with exact gradients in the iterated prisoner's dilemma",
        "agents of Zhang & Lesser 2010, Foerster et al. 2017, Letcher et al. 2019, in closed form; and of Korpelevich "
        "1976, Mescheder et al. 2017, Balduzzi et al. 2018, Schäfer & Anandkumar 2019, "
        "Willi et al. 2022, Zhao et al. 2022",
        "90 s",
    ),
    "dice_ipd": Reproduction(
        "Sampled LOLA-DiCE in the iterated prisoner's dilemma",
        "Foerster et al. 2018, and the runs that the authors released with their code",
        "1 min",
    ),
    "later_ipd": Reproduction(
        "POLA, Advantage Alignment and LOQA from samples in the iterated prisoner's dilemma",
        "agents of Zhao et al. 2022, Duque et al. 2024 and Aghajohari et al. 2024, beside what POLA's authors released",
        "3 min",
    ),
    "gradient_quality": Reproduction(
        "Sampled gradients against exact ones, by sample size",
        "question of Foerster et al. 2018; estimators of theirs and of Farquhar et al. 2019",
        "3 min",
    ),
    "critics": Reproduction(
        "The variance of policy gradients with each critic",
        "question of Foerster et al. 2017b; critics of theirs, of Lowe et al. 2017 and of Yang et al. 2018",
        "3 min",
    ),
    "personas_ipd": Reproduction(
        "Learning among learning personas in the iterated prisoner's dilemma",
        "after the protocol of Kim et al. 2021, with fewer time steps and meta-updates",
        "45 min",
        has_independent_runs=True,
    ),
    "personas_rps": Reproduction(
        "Learning among learning personas in iterated rock-paper-scissors",
        "after the protocol of Kim et al. 2021, with fewer time steps and meta-updates",
        "65 min",
        has_independent_runs=True,
    ),
    "personas_choice": Reproduction(
        "The choice of personas",
        "what the intervals of the two results above leave out",
        "25 min",
        has_independent_runs=True,
    ),
    "shape_naive_learner": Reproduction(
        "Shaping a naive learner for long in the iterated prisoner's dilemma",
        "protocol and published figures of Lu et al. 2022, Model-Free Opponent Shaping",
        "20 min",
        has_independent_runs=True,
    ),
    "lasting_cooperation": Reproduction(
        "Cooperation that lasts in the iterated prisoner's dilemma",
        "the game of Kim et al. 2020, beyond the one inner update of its Figure 3; nobody has published it",
        "45 min",
    ),
    "first_order": Reproduction(
        "Meta-gradients of first order in the iterated prisoner's dilemma",
        "the idea of FOMAML (Finn et al. 2017) in Eq. 4 and 7 of Kim et al. 2020; nobody has published it",
        "6 min",
        has_independent_runs=True,
    ),
    "coin_game_exact": Reproduction(
        "The coin game with exact gradients",
        "games of Foerster et al. 2017 and Zhao et al. 2022, in closed form; nobody has published it",
        "45 min",
    ),
    "coin_game": Reproduction(
        "The coin game from samples",
        "Foerster et al. 2017 and the papers that its table names",
        "40 min",
    ),
    "public_goods": Reproduction(
        "Public goods among three, four and five players",
        "Theorem 1 of Kim et al. 2020 with more than two agents; the paper has no figure of it",
        "30 min",
        has_independent_runs=True,
    ),
    "half_cheetah": Reproduction(
        "Learning among learning teammates in two-agent HalfCheetah",
        "after the protocol of Kim et al. 2021, with fewer samples and meta-updates",
        "30 min",
    ),
    "coala_ipd": Reproduction(
        "COALA-PG shapes naive learners in the iterated prisoner's dilemma",
        "Meulemans et al. 2024, Multi-agent cooperation through learning-aware policy gradients",
        "10 min",
        has_independent_runs=True,
    ),
    "two_quadratics": Reproduction("Which hill agents climb in the max of two quadratics", "Wei et al. 2018", "3 min"),
    "m_fos_ipd": Reproduction(
        "Model-free opponent shaping in the iterated prisoner's dilemma",
        "protocol and published figure of Lu et al. 2022, Model-Free Opponent Shaping",
        "3 min",
    ),
    "meva_ipd": Reproduction(
        "Meta-value learning in the iterated prisoner's dilemma",
        "Cooijmans, Aghajohari & Courville 2023, Meta-Value Learning",
        "1 min",
    ),
    "stationary": Reproduction(
        "Who takes others for stationary, beside who learns that they learn",
        "the families that Kim et al. 2020 place Meta-MAPG among, and their claim that stationary assumptions fail",
        "15 min",
        has_independent_runs=True,
    ),
}
