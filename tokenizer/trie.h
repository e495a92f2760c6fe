// A double-array trie over bytes: one addition and one comparison a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

class Trie {
 public:
  static constexpr std::int32_t kRoot = 0;
  static constexpr std::int32_t kNone = -1;

  struct Match {
    std::int32_t value = kNone;
    std::size_t end = 0;  // behind the match's last byte
  };

  using Entries = std::vector<std::pair<std::string_view, std::int32_t>>;

  /// Values are >= 0. Of equal keys the last one counts. The keys' bytes are not needed afterwards.
  explicit Trie(const Entries& entries = {});

  bool empty() const { return nodes_.size() == 1 && nodes_[0].value == kNone; }

  /// The node that `key` leads to from `node`, or kNone.
  std::int32_t walk(std::string_view key, std::int32_t node = kRoot) const;

  /// The value of a whole key, or kNone.
  std::int32_t find(std::string_view key) const;

  /// The longest key, of at least one byte, that text continues with at `begin`, when keys start
  /// from `node`.
  Match longest(std::string_view text, std::size_t begin, std::int32_t node = kRoot) const;

 private:
  struct Node {
    std::int32_t base = 0;        // the child for byte b is base + b
    std::int32_t parent = kNone;  // and is there if its parent is this node
    std::int32_t value = kNone;
  };
  class Builder;

  std::int32_t child(std::int32_t node, char byte) const {
    const auto next = static_cast<std::size_t>(nodes_[static_cast<std::size_t>(node)].base) +
                      static_cast<unsigned char>(byte);
    return next < nodes_.size() && nodes_[next].parent == node ? static_cast<std::int32_t>(next)
                                                               : kNone;
  }

  std::vector<Node> nodes_;
};

}  // namespace holdfast
