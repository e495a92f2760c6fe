// What the methods of merge.h share: loops over the slices of an arena in fixed chunks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/parallel.h"
#include "nn/parameters.h"

namespace holdfast::merge_detail {

inline constexpr std::int64_t kChunk = 2048;  // elements a unit of work; a multiple of 4
using Buffer = std::array<double, kChunk>;

/// Calls body(slice, begin, count) for every chunk of every slice, elements counted in the slice.
template <class Body>
void for_chunks(std::span<const NamedSlice> slices, const Body& body) {
  for (const NamedSlice& slice : slices) {
    parallel_for(slice.size, kChunk, [&](std::int64_t begin, std::int64_t end) {
      body(slice, begin, static_cast<std::size_t>(end - begin));
    });
  }
}

/// Copies the slices from one arena's values to another's.
inline void copy(std::span<const NamedSlice> slices, const Tensor& source, const Tensor& target) {
  for (const NamedSlice& slice : slices) {
    const std::int64_t end = slice.offset + slice.size;
    target.slice(0, slice.offset, end).copy_from(source.slice(0, slice.offset, end));
  }
}

/// out = reference + shift; a shift of zero keeps the reference's bits (minus zero too).
template <class T>
void write_shifted(const T* reference, const Buffer& shift, std::size_t count, T* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const T r = reference[i];
    out[i] = shift[i] == 0 ? r : static_cast<T>(static_cast<double>(r) + shift[i]);
  }
}

}  // namespace holdfast::merge_detail
