#include "controller/placement.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

namespace zef::controller {
namespace {

constexpr std::size_t nobody = SIZE_MAX;
// Differences of sums of doubles below this are no differences.
constexpr double nothing = 1e-9;

// The situation with all moves under way done.
class Board {
 public:
  Board(const PlacementOptions& options, const std::vector<PlacedWorker>& workers,
        const std::vector<PlacedShard>& shards, const std::vector<Move>& under_way)
      : options_(options), workers_(workers), shards_(shards), loads_(workers.size()), moves_of_(workers.size()) {
    for (std::size_t i = 0; i < workers.size(); ++i) place_of_.emplace(workers[i].worker, i);
    std::unordered_map<std::uint16_t, WorkerId> moving_to;
    for (const Move& move : under_way) {
      moving_to.emplace(move.shard.value(), move.to);
      for (const WorkerId& end : {move.from, move.to})
        if (const std::size_t place = place_of(end); place != nobody) ++moves_of_[place];
    }
    for (const PlacedShard& shard : shards) {
      const auto moving = moving_to.find(shard.shard.value());
      moving_.push_back(moving != moving_to.end());
      owner_.push_back(place_of(moving_.back() ? moving->second : shard.owner));
      if (owner_.back() != nobody) loads_[owner_.back()] += weight(shard_index());
    }
  }

  Plan plan() {
    deal_orphans();
    if (!empty_draining()) rebalance();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] std::size_t shard_index() const { return owner_.size() - 1; }
  [[nodiscard]] std::size_t place_of(const WorkerId& worker) const {
    const auto found = place_of_.find(worker);
    return found == place_of_.end() ? nobody : found->second;
  }
  [[nodiscard]] double weight(std::size_t shard) const { return shards_[shard].load + options_.shard_weight; }
  [[nodiscard]] bool takes(std::size_t worker) const {
    return workers_[worker].takes && !workers_[worker].leaves && !workers_[worker].dead;
  }
  [[nodiscard]] bool may_move(std::size_t worker) const { return moves_of_[worker] < options_.moves_per_worker; }
  // Shares of a load go by cores.
  [[nodiscard]] double cores(std::size_t worker) const { return std::max(workers_[worker].cores, nothing); }

  // The worker that would be least loaded with this shard, among those that take shards.
  template <class Allowed>
  [[nodiscard]] std::size_t least_loaded(double with, Allowed allowed) const {
    std::size_t best = nobody;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!takes(i) || !allowed(i)) continue;
      if (best == nobody || (loads_[i] + with) / cores(i) < (loads_[best] + with) / cores(best) - nothing) best = i;
    }
    return best;
  }

  [[nodiscard]] bool heavier(std::size_t a, std::size_t b) const {
    return weight(a) != weight(b) ? weight(a) > weight(b) : a < b;
  }
  [[nodiscard]] std::vector<std::size_t> heaviest_first(std::vector<std::size_t> shards) const {
    std::ranges::sort(shards, [this](std::size_t a, std::size_t b) { return heavier(a, b); });
    return shards;
  }

  void move(std::size_t shard, std::size_t to) {
    const std::size_t from = owner_[shard];
    plan_.moves.push_back({shards_[shard].shard, workers_[from].worker, workers_[to].worker});
    ++moves_of_[from];
    ++moves_of_[to];
    loads_[from] -= weight(shard);
    loads_[to] += weight(shard);
    owner_[shard] = to;
    moving_[shard] = true;
  }

  // Shards whose owner is dead or unknown, the heaviest first, each to whoever is least loaded then.
  void deal_orphans() {
    std::vector<std::size_t> orphans;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      const std::size_t owner = place_of(shards_[i].owner);
      const bool lost = owner == nobody || workers_[owner].dead;
      const bool being_rescued = moving_[i] && owner_[i] != nobody && !workers_[owner_[i]].dead;
      if (lost && !being_rescued) orphans.push_back(i);
    }
    std::map<std::pair<WorkerId, WorkerId>, std::vector<ShardId>> dealt;
    for (const std::size_t shard : heaviest_first(std::move(orphans))) {
      if (owner_[shard] != nobody) loads_[owner_[shard]] -= weight(shard);
      const std::size_t by = least_loaded(weight(shard), [](std::size_t) { return true; });
      if (by == nobody) return;
      dealt[{shards_[shard].owner, workers_[by].worker}].push_back(shards_[shard].shard);
      loads_[by] += weight(shard);
      owner_[shard] = by;
      moving_[shard] = true;
    }
    for (auto& [who, shards] : dealt) plan_.rescues.push_back({who.first, who.second, std::move(shards)});
  }

  // Whether a draining worker still has shards.
  bool empty_draining() {
    std::vector<std::size_t> leaving;
    for (std::size_t i = 0; i < shards_.size(); ++i)
      if (owner_[i] != nobody && !workers_[owner_[i]].dead && workers_[owner_[i]].leaves) leaving.push_back(i);
    const bool any = !leaving.empty();
    for (const std::size_t shard : heaviest_first(std::move(leaving))) {
      if (moving_[shard] || !may_move(owner_[shard])) continue;
      const std::size_t to = least_loaded(weight(shard), [this](std::size_t i) { return may_move(i); });
      if (to == nobody) return true;
      move(shard, to);
    }
    return any;
  }

  struct Pool {
    std::vector<bool> holds_hot;  // by worker: kept for a hot shard
    std::vector<double> target;   // by worker: the load that it should have
    double fill = 0;              // load for each core of the workers that keep no hot shard
  };

  // The heaviest shards take a worker each while they are more than an equal share of what is left.
  [[nodiscard]] Pool pool() const {
    Pool pool{.holds_hot = std::vector<bool>(workers_.size()), .target = std::vector<double>(workers_.size())};
    double load = 0;
    double core_sum = 0;
    std::size_t left = 0;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!takes(i)) continue;
      load += loads_[i];
      core_sum += cores(i);
      ++left;
    }
    std::vector<std::size_t> all(shards_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    // Few are looked at, mostly one: a heap is enough.
    const auto lighter = [this](std::size_t a, std::size_t b) { return heavier(b, a); };
    std::ranges::make_heap(all, lighter);
    for (; !all.empty(); all.pop_back()) {
      std::ranges::pop_heap(all, lighter);
      const std::size_t shard = all.back();
      const std::size_t owner = owner_[shard];
      if (owner == nobody || !takes(owner)) continue;
      if (left < 2 || weight(shard) <= load / static_cast<double>(left) + nothing) break;
      const std::size_t keeper =
          pool.holds_hot[owner] ? least_loaded(0, [&](std::size_t i) { return !pool.holds_hot[i]; }) : owner;
      pool.holds_hot[keeper] = true;
      pool.target[keeper] = weight(shard);
      load -= weight(shard);
      core_sum -= cores(keeper);
      --left;
    }
    pool.fill = core_sum > 0 ? std::max(load, 0.0) / core_sum : 0;
    for (std::size_t i = 0; i < workers_.size(); ++i)
      if (takes(i) && !pool.holds_hot[i]) pool.target[i] = pool.fill * cores(i);
    return pool;
  }

  [[nodiscard]] double excess(const Pool& pool, std::size_t worker) const {
    return loads_[worker] - pool.target[worker];
  }
  // A worker that has too much gives, and then goes on until it is well below what made it give: else a load that
  // changes a little would move one more shard now and again.
  [[nodiscard]] bool gives(const Pool& pool, std::size_t worker) const {
    if (!takes(worker)) return false;
    const double imbalance = gives_[worker] ? options_.aim : options_.imbalance;
    const double allowed = pool.holds_hot[worker] ? options_.beside_hot * pool.fill * cores(worker)
                                                  : (imbalance - 1) * pool.target[worker];
    return excess(pool, worker) > allowed + nothing;
  }

  // Imbalance is the sum over workers of excess^2 / cores. What the move removes of it; nothing if it is hardly worth
  // it, as most of the excess would only be somewhere else.
  [[nodiscard]] std::optional<double> removed(const Pool& pool, std::size_t shard, std::size_t to) const {
    const std::size_t from = owner_[shard];
    const double give = excess(pool, from);
    const double take = excess(pool, to);
    const double load = weight(shard);
    const double gain = load * (2 * give - load) / cores(from) - load * (2 * take + load) / cores(to);
    const double least = load * load / 4 * (1 / cores(from) + 1 / cores(to));
    // Targets may change with every move, as another shard is hot then. The sum of load^2 / cores does not know them,
    // and every move lessens it: moves come to an end.
    const double lessens = load * (2 * loads_[from] - load) / cores(from) - load * (2 * loads_[to] + load) / cores(to);
    return gain < least || lessens <= nothing ? std::nullopt : std::optional(gain);
  }

  // From workers that have too much to workers that have too little, and no more than that.
  [[nodiscard]] std::optional<std::pair<std::size_t, std::size_t>> best_move(const Pool& pool) const {
    double best = 0;
    std::optional<std::pair<std::size_t, std::size_t>> chosen;
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
      const std::size_t from = owner_[shard];
      if (from == nobody || moving_[shard] || !may_move(from) || !gives(pool, from)) continue;
      for (std::size_t to = 0; to < workers_.size(); ++to) {
        if (!takes(to) || !may_move(to) || excess(pool, to) >= -nothing) continue;
        const auto gain = removed(pool, shard, to);
        if (!gain) continue;
        const double per_byte = *gain / static_cast<double>(shards_[shard].bytes + options_.move_bytes);
        if (per_byte <= best) continue;
        best = per_byte;
        chosen = {shard, to};
      }
    }
    return chosen;
  }

  void rebalance() {
    gives_.assign(workers_.size(), false);
    while (const auto next = best_move(pool())) {
      gives_[owner_[next->first]] = true;
      move(next->first, next->second);
    }
  }

  const PlacementOptions& options_;
  const std::vector<PlacedWorker>& workers_;
  const std::vector<PlacedShard>& shards_;
  std::unordered_map<WorkerId, std::size_t> place_of_;
  std::vector<std::size_t> owner_;  // of each shard, by place in `workers_`
  std::vector<bool> moving_;
  std::vector<double> loads_;
  std::vector<std::size_t> moves_of_;
  std::vector<bool> gives_;  // to balance, in this plan
  Plan plan_;
};

}  // namespace

Plan place(const PlacementOptions& options, const std::vector<PlacedWorker>& workers,
           const std::vector<PlacedShard>& shards, const std::vector<Move>& under_way) {
  return Board(options, workers, shards, under_way).plan();
}

}  // namespace zef::controller
