// The coin game by LOLA's rules between two policies that see the board and who took the last coin of each colour.
//
// thresholds: [2 agents, 1152 observations, 3], between which a random number is one of four actions. sums: to which both
// agents' rewards of all steps are added.
#include "uniform.h"

static inline int wrapped(int x) { return x < 0 ? 2 : x == 3 ? 0 : x; }

static inline int offset(int row, int column, int other_row, int other_column) {
  int r = other_row - row, c = other_column - column;
  return 3 * (r < 0 ? r + 3 : r) + (c < 0 ? c + 3 : c);
}

static inline int drawn(const float *thresholds, float u) {
  return (u >= thresholds[0]) + (u >= thresholds[1]) + (u >= thresholds[2]);
}

// A cell on which no player is.
static inline int new_coin(const int *row, const int *column, uint64_t *state) {
  int a = 3 * row[0] + column[0], b = 3 * row[1] + column[1];
  int low = a < b ? a : b, high = a < b ? b : a, apart = low != high;
  int cell = (int)(uniform(state) * (8 - apart));
  cell += cell >= low;
  return cell + (apart && cell >= high);
}

void simulate(int64_t n_trajectories, int64_t horizon, const float *thresholds, uint64_t seed, double *sums) {
  uint64_t state = seed;
  for (int64_t k = 0; k < n_trajectories; ++k) {
    int red = (int)(uniform(&state) * 9), blue = (int)(uniform(&state) * 8);
    blue += blue >= red;
    int row[2] = {red / 3, blue / 3}, column[2] = {red % 3, blue % 3};
    int taker[2] = {0, 0};  // of the last coin of each colour: nobody yet, red, blue
    int coin = new_coin(row, column, &state), colour = uniform(&state) >= 0.5f;
    float gained[2] = {0.0f, 0.0f};
    for (int64_t t = 0; t < horizon; ++t) {
      int action[2];
      for (int i = 0; i < 2; ++i) {
        int other = offset(row[i], column[i], row[1 - i], column[1 - i]);
        int place = offset(row[i], column[i], coin / 3, coin % 3);
        int board = 2 * (other ? 7 * other + place - (place > other) : place - 1) + (colour != i);
        int own = taker[i], others = taker[1 - i];
        if (i) { own = own ? 3 - own : 0; others = others ? 3 - others : 0; }
        action[i] = drawn(thresholds + 3 * (1152 * i + 9 * board + 3 * own + others), uniform(&state));
      }
      for (int i = 0; i < 2; ++i) {
        column[i] = wrapped(column[i] + (action[i] == 0) - (action[i] == 1));
        row[i] = wrapped(row[i] + (action[i] == 2) - (action[i] == 3));
      }
      int by = 3 * row[0] + column[0] == coin ? 0 : 3 * row[1] + column[1] == coin ? 1 : -1;
      if (by >= 0) {
        gained[by] += 1.0f;
        if (by != colour) gained[colour] -= 2.0f;
        taker[colour] = 1 + by;
        colour = 1 - colour;
        coin = new_coin(row, column, &state);
      }
    }
    sums[0] += gained[0];
    sums[1] += gained[1];
  }
}
