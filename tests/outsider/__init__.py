"""A package of somebody else's, with a game, a policy, a critic, an estimator and an agent of its own."""
