// The simulated network: connections as TCP gives them. Frames of one connection arrive in order or not at all; two
// connections know nothing of each other's order. What is lost is a whole connection, with all that was under way in
// it, and its two ends learn of that at different times, or only when they give up (a machine that lost power says
// nothing).
//
// Sites: every process has one; links between sites are cut and healed. Time on the wire is rounded to a grain, so that
// what arrives together is handled in one turn. Thread rule: the simulation's thread. The network outlives everything
// made from it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "net/transport.h"
#include "sim/random.h"
#include "sim/schedule.h"

namespace zef::sim {

enum class Site : std::uint32_t {};

struct NetworkWeather {
  Duration delay_min = std::chrono::microseconds(200);
  Duration delay_max = std::chrono::milliseconds(3);
  Duration grain = std::chrono::milliseconds(1);
  std::uint64_t cut_chance = 0;     // of a frame, in millionths: its connection breaks
  std::uint64_t refuse_chance = 0;  // of a connect
  std::uint64_t slow_chance = 0;    // of a frame: it takes slow_delay longer
  Duration slow_delay = std::chrono::seconds(1);
};

// What somebody has sent: it has left the process, whether or not it arrives.
struct Sent {
  const net::Address& listening;  // of the connection
  std::uint64_t connection;       // its number
  bool to_listener;               // a request; else an answer
  ByteView frame;
};

class Network {
 public:
  Network(Schedule& schedule, SimRng rng);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  [[nodiscard]] std::unique_ptr<net::Transport> transport(SimExecutor& process, Site site);
  [[nodiscard]] Site new_site();

  void set_weather(const NetworkWeather& weather);
  void on_sent(std::function<void(const Sent&)> callback);
  // Nothing passes between the two, in either direction, until it is healed; what was sent waits, and connections that
  // waited for long break.
  void block(Site one, Site other);
  void heal();
  [[nodiscard]] bool blocked(Site one, Site other) const;
  // Breaks every connection of the site.
  void cut(Site site);
  // The site lost its power: its connections say nothing any more, and the other ends learn of it late.
  void silence(Site site);

  struct Counters {
    std::uint64_t frames = 0, cuts = 0, refused = 0, slow = 0;
  };
  [[nodiscard]] const Counters& counters() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace zef::sim
