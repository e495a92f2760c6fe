#include "tokenizer/trie.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/sort_key.h"

namespace holdfast {

// Places the nodes breadth first. An only child goes to the first free place, several go to the
// first place found free from where the last several went on: what lies between is for only
// children, of whom there are more.
class Trie::Builder {
 public:
  Builder(const Entries& entries, std::vector<Node>& nodes) : nodes_(nodes) {
    entries_.reserve(entries.size());
    for (const auto& [key, value] : entries) {
      entries_.emplace_back(SortKey(key), value);
    }
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }

  void build() {
    nodes_.assign(1, Node{});
    std::vector<Range> queue = {{kRoot, 0, entries_.size(), 0}};
    for (std::size_t i = 0; i < queue.size(); ++i) {
      place_children(queue[i], queue);
    }
  }

 private:
  struct Range {  // the entries [begin, end) share their first `depth` bytes, which lead to `node`
    std::int32_t node;
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };

  void place_children(Range range, std::vector<Range>& queue) {
    while (range.begin < range.end && entries_[range.begin].first.text().size() == range.depth) {
      nodes_[static_cast<std::size_t>(range.node)].value = entries_[range.begin++].second;
    }
    bytes_.clear();
    starts_.clear();
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const auto byte = static_cast<unsigned char>(entries_[i].first.text()[range.depth]);
      if (bytes_.empty() || bytes_.back() != byte) {
        bytes_.push_back(byte);
        starts_.push_back(i);
      }
    }
    if (bytes_.empty()) {
      return;
    }
    starts_.push_back(range.end);
    const std::size_t base = find_base();
    nodes_[static_cast<std::size_t>(range.node)].base = static_cast<std::int32_t>(base);
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const std::size_t next = base + bytes_[i];
      nodes_[next].parent = range.node;
      queue.push_back(
          {static_cast<std::int32_t>(next), starts_[i], starts_[i + 1], range.depth + 1});
    }
  }

  std::size_t find_base() {
    std::size_t& from = bytes_.size() == 1 ? first_free_ : first_for_several_;
    while (from < nodes_.size() && nodes_[from].parent != kNone) {
      ++from;
    }
    std::size_t base = from - bytes_[0];
    while (!std::all_of(bytes_.begin(), bytes_.end(), [&](unsigned char byte) {
      return base + byte >= nodes_.size() || nodes_[base + byte].parent == kNone;
    })) {
      ++base;
    }
    const std::size_t needed = base + bytes_.back() + 1;
    if (needed > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      throw std::runtime_error(
          "[tokenizer] the vocabulary is too large: its tokens must have less than 2 GiB");
    }
    if (needed > nodes_.size()) {
      nodes_.resize(needed);
    }
    if (bytes_.size() > 1) first_for_several_ = base + bytes_[0];
    return base;
  }

  std::vector<std::pair<SortKey, std::int32_t>> entries_;
  std::vector<Node>& nodes_;
  // From 256 on every byte can use a free place, so that none stays free for long.
  std::size_t first_free_ = 256, first_for_several_ = 256;
  std::vector<unsigned char> bytes_;
  std::vector<std::size_t> starts_;
};

Trie::Trie(const Entries& entries) { Builder(entries, nodes_).build(); }

std::int32_t Trie::walk(std::string_view key, std::int32_t node) const {
  for (std::size_t i = 0; i < key.size() && node != kNone; ++i) {
    node = child(node, key[i]);
  }
  return node;
}

std::int32_t Trie::find(std::string_view key) const {
  const std::int32_t node = walk(key);
  return node == kNone ? kNone : nodes_[static_cast<std::size_t>(node)].value;
}

Trie::Match Trie::longest(std::string_view text, std::size_t begin, std::int32_t node) const {
  Match best;
  for (std::size_t at = begin; at < text.size(); ++at) {
    node = child(node, text[at]);
    if (node == kNone) {
      break;
    }
    const std::int32_t value = nodes_[static_cast<std::size_t>(node)].value;
    if (value != kNone) {
      best = {value, at + 1};
    }
  }
  return best;
}

}  // namespace holdfast
