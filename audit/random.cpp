// The generator behind every draw: published answers, and moments over many draws.
#include "tensor/random.h"

#include <cmath>
#include <set>

#include "audit/case.h"
#include "train/mixing.h"

namespace holdfast::audit {
namespace {

// kat_vectors of the authors' Random123, philox4x32-10.
double known_answers() {
  struct Answer {
    PhiloxCounter counter;
    PhiloxKey key;
    PhiloxCounter expected;
  };
  constexpr std::uint32_t kOnes = 0xffffffff;
  Worst worst;
  for (const Answer& a :
       {Answer{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        Answer{{kOnes, kOnes, kOnes, kOnes},
               {kOnes, kOnes},
               {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        Answer{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
               {0xa4093822, 0x299f31d0},
               {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}) {
    worst.add(unequal(philox(a.counter, a.key), a.expected));
  }
  return worst.value();
}

// Each draw from its 128 bits, by the definition in tensor/random.h.
double draws() {
  const RandomStream stream(7, "audit");
  Worst worst;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const PhiloxCounter r = stream.bits(3, i);
    const double low = std::ldexp(std::floor(std::ldexp(r[1], 21) + std::ldexp(r[0], -11)), -53),
                 high = std::ldexp(std::floor(std::ldexp(r[3], 21) + std::ldexp(r[2], -11)), -53);
    worst.add(std::abs(stream.uniform(3, i) - low));
    const double radius = std::sqrt(-2 * std::log(low + 0x1p-53));
    worst.add(std::abs(stream.normal(3, i) - radius * std::cos(2 * M_PI * high)));
    const double below = std::floor(1000 * (std::ldexp(r[1], -32) + std::ldexp(r[0], -64)));
    worst.add(std::abs(static_cast<double>(stream.below(1000, 3, i)) - below));
  }
  return worst.value();
}

// In standard errors of 10^5 draws: the first four moments, and independence of places.
double moments() {
  const RandomStream stream(8, "audit");
  const double n = 1e5;
  double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0, product = 0, before = 0;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n); ++i) {
    const double u = stream.uniform(i, 5), z = stream.normal(5, i);
    u1 += u, u2 += u * u, z1 += z, z2 += z * z, z4 += z * z * z * z;
    product += z * before;
    before = z;
  }
  Worst worst;
  const auto deviations = [&](double sum, double mean, double variance) {
    worst.add(std::abs(sum / n - mean) / std::sqrt(variance / n));
  };
  deviations(u1, 0.5, 1.0 / 12);
  deviations(u2, 1.0 / 3, 4.0 / 45);
  deviations(z1, 0, 1);
  deviations(z2, 1, 2);
  deviations(z4, 3, 96);
  deviations(product, 0, 1);
  return worst.value();
}

// Every number once, another order in every epoch; batches with exactly their share of old samples.
double batches() {
  Worst worst;
  const std::vector<std::int64_t> one = permutation(100, RandomStream(7, "x"), 0),
                                  other = permutation(100, RandomStream(7, "x"), 1);
  worst.add(unequal(std::set<std::int64_t>(one.begin(), one.end()).size(), std::size_t{100}));
  worst.add(one == other ? 1 : 0);
  Mixer mixer(37, {10, 30}, 8, 0.3, 7);
  mixer.set_share(20, 0.55);
  std::set<std::pair<std::int64_t, std::int64_t>> fresh, old[2];
  std::int64_t olds = 0, news = 0;
  for (std::int64_t step = 0; step < 60; ++step) {
    worst.add(unequal(mixer.old_before(step), olds));
    worst.add(unequal(mixer.new_before(step), news));
    for (const MixItem& item : mixer.batch(step)) {
      (item.source == 0 ? news : olds) += 1;
      worst.add(item.source == 0
                    ? unequal(fresh.emplace(item.epoch, item.index).second, true)
                    : unequal(old[item.source - 1].emplace(item.epoch, item.index).second, true));
    }
    // In twentieths of 8: no rounding.
    const std::int64_t first = std::min<std::int64_t>(step + 1, 20), second = step + 1 - first;
    worst.add(unequal(olds, (first * 8 * 6 + second * 8 * 11) / 20));
    worst.add(unequal(olds + news, 8 * (step + 1)));
  }
  worst.add(unequal(old[1].size() > 2 * old[0].size(), true));
  std::int64_t steps = 0;
  while (mixer.new_before(steps) < 74) ++steps;
  worst.add(unequal(mixer.steps_for_epochs(2), steps));
  return worst.value();
}

}  // namespace

std::vector<Case> random_cases() {
  Family family("random numbers");
  family.formula({.name = "Philox4x32-10",
                  .equation = "ten rounds of two products and a key",
                  .source = "Salmon et al. 2011",
                  .against = "the authors' known answers",
                  .covers = "tensor/random.h: philox",
                  .unit = "exact",
                  .bound = 0},
                 known_answers);
  family.formula({.name = "uniform, normal, below",
                  .equation = "53 bits; Box-Muller; floor(n bits / 2^64)",
                  .source = "Box & Muller 1958",
                  .against = "the bits in double, 1,000 places",
                  .covers = "tensor/random.h: RandomStream",
                  .unit = "absolute",
                  .bound = 1e-14},
                 draws);
  family.formula({.name = "moments",
                  .equation = "E u = 1/2, E u^2 = 1/3, E z = 0, E z^2 = 1, E z^4 = 3",
                  .source = "definition",
                  .against = "10^5 draws",
                  .covers = "tensor/random.h: RandomStream",
                  .unit = "standard errors",
                  .bound = 4},
                 moments);
  family.formula(
      {.name = "batches",
       .equation = "floor(s B share) old samples after s steps, each once an epoch",
       .source = "definition",
       .against = "sets of what was drawn, 60 steps, two shares",
       .covers = "train/mixing.h: Mixer, train/mixing.h: Cycle, train/mixing.h: BufferCycle, "
                 "train/mixing.h: permutation",
       .unit = "exact",
       .bound = 0},
      batches);
  return family.take();
}

}  // namespace holdfast::audit
