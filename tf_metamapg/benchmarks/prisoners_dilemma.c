// The iterated prisoner's dilemma between two policies that see the last joint action.
//
// thresholds: [2 agents, 5 observations, 1], below which a random number is cooperation; observations are 0 at the start,
// then CC, CD, DC, DD with the agent's own action first. sums: to which both agents' rewards of all steps are added.
#include "uniform.h"

void simulate(int64_t n_trajectories, int64_t horizon, const float *thresholds, uint64_t seed, double *sums) {
  static const int seen[2][5] = {{0, 1, 2, 3, 4}, {0, 1, 3, 2, 4}};
  static const float payoffs[2][4] = {{-1, -3, 0, -2}, {-1, 0, -3, -2}};
  uint64_t state = seed;
  for (int64_t k = 0; k < n_trajectories; ++k) {
    int s = 0;
    float first = 0.0f, second = 0.0f;
    for (int64_t t = 0; t < horizon; ++t) {
      int a = uniform(&state) >= thresholds[seen[0][s]];
      int b = uniform(&state) >= thresholds[5 + seen[1][s]];
      s = 1 + 2 * a + b;
      first += payoffs[0][s - 1];
      second += payoffs[1][s - 1];
    }
    sums[0] += first;
    sums[1] += second;
  }
}
