#include "nn/safetensors.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::int64_t kMaxHeader = 100'000'000;  // bytes; the reference's bound
constexpr std::ptrdiff_t kMaxCommas = 1 << 20;    // bounds what the JSON tree can take in memory
constexpr std::int64_t kChunk = 1 << 18;          // bytes read at a time

struct ElementType {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array kElementTypes = {
    ElementType{"BOOL", 1}, ElementType{"U8", 1},      ElementType{"I8", 1},
    ElementType{"U16", 2},  ElementType{"I16", 2},     ElementType{"F16", 2},
    ElementType{"U32", 4},  ElementType{"I32", 4},     ElementType{"F32", 4},
    ElementType{"U64", 8},  ElementType{"I64", 8},     ElementType{"F64", 8},
    ElementType{"BF16", 2}, ElementType{"F8_E5M2", 1}, ElementType{"F8_E4M3", 1},
};

std::string in_quotes(std::string_view name) {
  const std::string_view head = name.substr(0, 100);
  return '"' + utf8::printable(head) + (head.size() < name.size() ? "...\"" : "\"");
}

std::string in_file(const std::filesystem::path& path, std::string_view fact) {
  return utf8::printable(path.string()) + ": " + std::string(fact);
}

// What people have in place of a safetensors file, by its first bytes.
std::string_view hint(std::string_view start) {
  if (start.starts_with("PK"))
    return " (a ZIP archive or PyTorch pickle: convert it to safetensors)";
  if (start.starts_with("\x80"))
    return " (a pickle, which can run code: convert it to safetensors)";
  if (start.starts_with("version "))
    return " (a Git LFS pointer: fetch the file with git lfs pull)";
  if (start.starts_with("<")) return " (an HTML page: the download went wrong)";
  if (start.starts_with("GGUF")) return " (a GGUF file: holdfast reads safetensors)";
  if (start.starts_with("\x1f\x8b")) return " (gzip: unpack it first)";
  return "";
}

std::int64_t bytes_of(const Json& entry, SafetensorsEntry& out) {
  const Json& dtype = entry.at("dtype");
  const auto type = std::find_if(kElementTypes.begin(), kElementTypes.end(),
                                 [&](const ElementType& t) { return t.name == dtype.as_string(); });
  if (type == kElementTypes.end()) {
    throw dtype.error("is the unknown type " + in_quotes(dtype.as_string()));
  }
  out.dtype = type->name;
  const Json& shape = entry.at("shape");
  if (shape.array().size() > Shape::kMaxRank) {
    throw shape.error("has " + std::to_string(shape.array().size()) + " dimensions, more than 8");
  }
  // Zeros are left out of the product, so that it is checked whatever their place.
  std::int64_t bytes = type->bytes;
  bool empty = false;
  for (const Json& extent : shape.array()) {
    const std::int64_t size = extent.as_int64();
    if (size < 0) throw extent.error("is negative");
    empty = empty || size == 0;
    if (size > 0 && __builtin_mul_overflow(bytes, size, &bytes)) {
      throw shape.error("has a size that overflows 2^63-1 bytes");
    }
    out.shape.push_back(size);
  }
  return empty ? 0 : bytes;
}

SafetensorsEntry read_entry(const std::string& name, const Json& json) {
  if (name.empty() || name.size() > kMaxTensorName || name.find('\0') != std::string::npos) {
    throw json.error("is a tensor whose name is empty, has a NUL or is longer than 4096 bytes");
  }
  for (const auto& [key, value] : json.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      throw json.error("has the unknown field " + in_quotes(key));
    }
  }
  SafetensorsEntry entry{.name = name, .dtype = {}, .shape = {}};
  const std::int64_t bytes = bytes_of(json, entry);
  const Json& offsets = json.at("data_offsets");
  if (offsets.array().size() != 2) throw offsets.error("must be two integers");
  entry.begin = offsets.array()[0].as_int64();
  entry.end = offsets.array()[1].as_int64();
  if (entry.begin < 0 || entry.end < entry.begin) {
    throw offsets.error("must be a begin of 0 or more and an end not before it");
  }
  if (entry.end - entry.begin != bytes) {
    throw offsets.error("spans " + std::to_string(entry.end - entry.begin) +
                        " bytes, but dtype and shape make " + std::to_string(bytes));
  }
  return entry;
}

}  // namespace

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& path) : file(path) {}

  [[noreturn]] void fail(std::string_view fact) const {
    throw std::runtime_error(in_file(file.path(), fact));
  }
  std::string read_header();
  void read_entries(const Json& header);
  void check_layout();

  File file;
  std::shared_ptr<Storage> mapped;  // the whole file, once view() was asked
  std::int64_t data_begin = 0;
  std::vector<SafetensorsEntry> entries;
  std::unordered_map<std::string_view, std::size_t> index;  // views of entries' names
  std::map<std::string, std::string> metadata;
};

std::string SafetensorsFile::State::read_header() {
  std::string start(static_cast<std::size_t>(std::min<std::int64_t>(file.size(), 9)), '\0');
  file.read(0, std::as_writable_bytes(std::span(start)));
  const auto refuse = [&](const std::string& fact) {
    fail("is not a safetensors file: " + fact + std::string(hint(start)));
  };
  if (start.size() < 8) refuse("it has only " + std::to_string(start.size()) + " bytes");
  std::uint64_t length = 0;
  std::memcpy(&length, start.data(), 8);
  if (length > static_cast<std::uint64_t>(kMaxHeader)) {
    refuse("header too large, " + std::to_string(length) + " bytes");
  }
  if (static_cast<std::int64_t>(length) > file.size() - 8) {
    refuse("the header length " + std::to_string(length) + " points past the end of the file");
  }
  if (length < 1 || start[8] != '{') refuse("the header must begin with {");
  std::string header(length, '\0');
  file.read(8, std::as_writable_bytes(std::span(header)));
  header.resize(header.find_last_not_of(' ') + 1);
  if (!header.ends_with('}')) refuse("the header must end with } and be padded with spaces only");
  if (std::count(header.begin(), header.end(), ',') > kMaxCommas) refuse("too many header entries");
  data_begin = 8 + static_cast<std::int64_t>(length);
  return header;
}

void SafetensorsFile::State::read_entries(const Json& header) {
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadataKey) {
      for (const auto& [key, text] : value.items()) metadata.emplace(key, text.as_string());
    } else {
      entries.push_back(read_entry(name, value));
    }
  }
}

// Offsets cover the data section exactly, without holes or overlap.
void SafetensorsFile::State::check_layout() {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const std::int64_t data_size = file.size() - data_begin;
  std::int64_t at = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != at) {
      fail("offset " + std::to_string(entry.begin) + " of tensor " + in_quotes(entry.name) +
           " leaves a hole or overlaps: expected " + std::to_string(at));
    }
    if (entry.end > data_size)
      fail("tensor " + in_quotes(entry.name) + " points past the end of the file");
    at = entry.end;
  }
  if (at != data_size) {
    fail(std::to_string(data_size - at) + " bytes at the end belong to no tensor");
  }
  for (std::size_t i = 0; i < entries.size(); ++i) index.emplace(entries[i].name, i);
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>(path);
  const std::string header = state->read_header();
  // Deeper than a valid header (3 levels), so that a value of a wrong type is named as such.
  state->read_entries(Json::parse(header, utf8::printable(path.string()) + ": header", 8));
  state->check_layout();
  return SafetensorsFile(std::move(state));
}

const std::vector<SafetensorsEntry>& SafetensorsFile::entries() const { return state_->entries; }

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = state_->index.find(name);
  return found == state_->index.end() ? nullptr : &state_->entries[found->second];
}

const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return state_->metadata;
}

namespace {

// IEEE binary16: stored bits.
struct Half {
  std::uint16_t bits;
  explicit operator double() const {
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    const double size = exponent == 0 ? std::ldexp(fraction, -24)
                        : exponent == 31
                            ? (fraction == 0 ? std::numeric_limits<double>::infinity()
                                             : std::numeric_limits<double>::quiet_NaN())
                            : std::ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -size : size;
  }
};

// How many are NaN or infinite: all bits of the exponent are ones.
template <class T>
std::int64_t count_nonfinite(std::span<const T> values) {
  if constexpr (std::is_same_v<T, std::int32_t>) {
    return 0;
  } else {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const auto exponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
    Bits count = 0;  // as wide as the elements, for vectors of both
    for (const T value : values) count += (std::bit_cast<Bits>(value) & exponent) == exponent;
    return static_cast<std::int64_t>(count);
  }
}

// Copies elements stored as From into To, a piece of at most kChunk. False when a finite value
// becomes infinite.
template <class From, class To>
bool convert(const File& file, std::int64_t begin, std::span<To> out) {
  if constexpr (std::is_same_v<From, To>) {
    file.read(begin, std::as_writable_bytes(out));
    return true;
  } else {
    std::vector<From> piece(out.size());
    file.read(begin, std::as_writable_bytes(std::span(piece)));
    bool fits = true;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const auto value = static_cast<double>(piece[i]);
      out[i] = static_cast<To>(value);
      fits = fits && std::isinf(value) == std::isinf(out[i]);
    }
    return fits;
  }
}

struct Piece {
  bool fits = true;
  std::int64_t nonfinite = 0;
};

// Elements [first, first + out.size()) of a tensor that begins at byte `begin`.
template <class To>
Piece read_piece(std::string_view dtype, const File& file, std::int64_t begin, std::int64_t first,
                 std::span<To> out) {
  const auto converted = [&]<class From>() {
    return convert<From>(file, begin + first * static_cast<std::int64_t>(sizeof(From)), out);
  };
  const bool fits = dtype == "I32"   ? converted.template operator()<std::int32_t>()
                    : dtype == "F32" ? converted.template operator()<float>()
                    : dtype == "F64" ? converted.template operator()<double>()
                    : dtype == "F16" ? converted.template operator()<Half>()
                                     : converted.template operator()<Bf16>();
  return {fits, count_nonfinite<To>(out)};
}

}  // namespace

Tensor SafetensorsFile::read(const SafetensorsEntry& entry, DType dtype) const {
  Tensor out = Tensor::empty(Shape(entry.shape), dtype);
  read_into(entry, out);
  return out;
}

std::int64_t SafetensorsFile::read_into(const SafetensorsEntry& entry, const Tensor& out) const {
  const DType dtype = out.dtype();
  const bool is_float =
      entry.dtype == "F32" || entry.dtype == "F64" || entry.dtype == "F16" || entry.dtype == "BF16";
  if (dtype == DType::i32 ? entry.dtype != "I32" : !is_float) {
    state_->fail("tensor " + in_quotes(entry.name) + " is " + entry.dtype + ", where " +
                 std::string(name_of(dtype)) + " is needed");
  }
  if (out.numel() != Shape(entry.shape).numel()) {
    throw std::invalid_argument("[safetensors] " + in_quotes(entry.name) + " does not fit into " +
                                out.shape().text());
  }
  const std::int64_t begin = state_->data_begin + entry.begin;
  std::atomic<bool> fits = true;
  std::atomic<std::int64_t> nonfinite = 0;
  const auto read_all = [&]<class T>() {
    const std::span<T> values = out.span<T>();
    parallel_for(out.numel(), kChunk / size_of(dtype), [&](std::int64_t first, std::int64_t end) {
      const auto part =
          values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(end - first));
      const Piece piece = read_piece<T>(entry.dtype, state_->file, begin, first, part);
      nonfinite += piece.nonfinite;
      if (!piece.fits) fits = false;
    });
  };
  if (dtype == DType::i32) {
    read_all.template operator()<std::int32_t>();
  } else {
    dispatch(dtype, "safetensors", read_all);
  }
  if (!fits) {
    state_->fail("tensor " + in_quotes(entry.name) + " holds " + entry.dtype +
                 " values too large for " + std::string(name_of(dtype)));
  }
  return nonfinite;
}

std::optional<Tensor> SafetensorsFile::view(const SafetensorsEntry& entry, const Shape& shape,
                                            DType dtype) const {
  const std::int64_t begin = state_->data_begin + entry.begin, size = size_of(dtype);
  const std::string_view stored = dtype == DType::f32 ? "F32" : dtype == DType::f64 ? "F64" : "";
  if (entry.dtype != stored || begin % size != 0) return {};
  if (shape.numel() * size != entry.end - entry.begin) {
    throw std::invalid_argument("[safetensors] " + in_quotes(entry.name) + " does not fit into " +
                                shape.text());
  }
  if (state_->mapped == nullptr) {
    const std::shared_ptr<std::byte> bytes = state_->file.map();
    state_->mapped = std::make_shared<Storage>(bytes.get(), state_->file.size(), bytes);
  }
  return Tensor::view(state_->mapped, begin / size, shape, dtype);
}

std::int64_t count_nonfinite(const Tensor& values) {
  std::atomic<std::int64_t> count = 0;
  dispatch(values.dtype(), "count_nonfinite", [&]<class T>() {
    const std::span<const T> all = values.span<T>();
    parallel_for(values.numel(), kChunk / size_of(values.dtype()),
                 [&](std::int64_t begin, std::int64_t end) {
                   count += count_nonfinite<T>(all.subspan(static_cast<std::size_t>(begin),
                                                           static_cast<std::size_t>(end - begin)));
                 });
  });
  return count;
}

}  // namespace holdfast
