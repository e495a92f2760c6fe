#include "tensor/hash.h"

#include <vector>

#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

Digest hash_on(Device on, const std::byte* data, std::int64_t bytes) {
  const std::int64_t count = (bytes + kHashPiece - 1) / kHashPiece;
  const Storage lanes(count * static_cast<std::int64_t>(sizeof(HashLanes)), on);
  cuda::table<cuda::Hash>(on.cuda).lanes(data, bytes, hash_keys(),
                                         reinterpret_cast<std::uint64_t*>(lanes.data(on)));
  const auto* of_piece = reinterpret_cast<const HashLanes*>(lanes.data());  // waits
  std::vector<Digest> pieces;
  for (std::int64_t begin = 0; begin < bytes; begin += kHashPiece) {
    const std::int64_t size = std::min(kHashPiece, bytes - begin);
    pieces.push_back(size <= kHashShort ? hash128({reinterpret_cast<const char*>(data + begin),
                                                   static_cast<std::size_t>(size)})
                                        : hash128_of_lanes(of_piece[begin / kHashPiece], size));
  }
  return hash128_of_pieces(pieces);
}

}  // namespace

Digest hash128_of(const Tensor& x) {
  return dispatch(x.dtype(), "hash", [&]<class T>() {
    const Device on = x.device();
    if (on.is_cuda() && x.is_contiguous() && x.storage_offset() == 0) {
      return hash_on(on, reinterpret_cast<const std::byte*>(x.data<T>(on)),
                     x.numel() * static_cast<std::int64_t>(sizeof(T)));
    }
    return hash128_in_pieces(std::as_bytes(x.span<T>()));
  });
}

}  // namespace holdfast
