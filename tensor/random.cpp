#include "tensor/random.h"

#include <cmath>
#include <numbers>

#include "base/elementary.h"

namespace holdfast {

RandomStream::RandomStream(std::uint64_t seed, std::string_view name) {
  // FNV-1a of the name, then mixed with the seed by Philox itself.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char ch : name) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001b3;
  const PhiloxCounter mixed =
      philox({static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32), 0, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  key_ = {mixed[0], mixed[1]};
}

PhiloxCounter RandomStream::bits(std::uint64_t high, std::uint64_t low) const {
  return philox({static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
                 static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)},
                key_);
}

double RandomStream::uniform(std::uint64_t step, std::uint64_t index) const {
  const PhiloxCounter r = bits(step, index);
  return static_cast<double>((std::uint64_t{r[1]} << 32 | r[0]) >> 11) * 0x1p-53;
}

std::uint64_t RandomStream::below(std::uint64_t n, std::uint64_t step, std::uint64_t index) const {
  const PhiloxCounter r = bits(step, index);
  const std::uint64_t word = std::uint64_t{r[1]} << 32 | r[0];
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(word) * n) >> 64);
}

double RandomStream::normal(std::uint64_t step, std::uint64_t index) const {
  const PhiloxCounter r = bits(step, index);
  const double u = (static_cast<double>((std::uint64_t{r[1]} << 32 | r[0]) >> 11) + 1.0) * 0x1p-53;
  const double v = static_cast<double>((std::uint64_t{r[3]} << 32 | r[2]) >> 11) * 0x1p-53;
  return std::sqrt(-2.0 * elementary::log(u)) * elementary::cos(2.0 * std::numbers::pi * v);
}

}  // namespace holdfast
