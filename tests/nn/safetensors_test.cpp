#include "nn/safetensors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/json.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::message_of;
using testing::read_bytes;
using testing::Scratch;

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A file of one tensor "w".
template <class T>
std::string file_of(const std::string& dtype, const std::vector<T>& values) {
  const std::string data = raw(values);
  const std::string header = R"({"w":{"dtype":")" + dtype + R"(","shape":[)" +
                             std::to_string(values.size()) + R"(],"data_offsets":[0,)" +
                             std::to_string(data.size()) + "]}}";
  return raw(std::vector<std::uint64_t>{header.size()}) + header + data;
}

std::vector<double> read_as(const Scratch& scratch, const std::string& bytes, DType dtype) {
  const auto file = SafetensorsFile::open(scratch.write("w.safetensors", bytes));
  return file.read(*file.find("w"), dtype).to_vector();
}

TEST(Safetensors, WritesWhatItReads) {
  const Scratch scratch;
  const Tensor matrix = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor wide = Tensor::from<double>({0.1, -0.0}, {2});
  const Tensor ids = Tensor::from<std::int32_t>({7, -8, 9}, {3});
  const auto path = scratch / "f.safetensors";
  write_safetensors(path,
                    {{"matrix", matrix.transpose(0, 1)},
                     {"wide", wide},
                     {"ids \"x\"", ids},
                     {"none", Tensor::zeros({0, 4}, DType::f32)},
                     {"one", Tensor::full({}, DType::f32, 3)},
                     {"brief", Tensor::full({3}, DType::bf16, -0.75)}},
                    {{"format", "pt"}});
  const auto file = SafetensorsFile::open(path);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.entries().size(), 6U);
  EXPECT_EQ(file.entries().front().name, "wide") << "larger elements come first";
  EXPECT_EQ(file.read(*file.find("matrix"), DType::f32).shape(), (Shape{3, 2}));
  EXPECT_EQ(file.read(*file.find("matrix"), DType::f32).to_vector(),
            (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(file.read(*file.find("wide"), DType::f64).to_vector(), wide.to_vector());
  EXPECT_EQ(file.read(*file.find("ids \"x\""), DType::i32).to_vector(), ids.to_vector());
  EXPECT_EQ(file.read(*file.find("one"), DType::f64).item(), 3.0);
  EXPECT_EQ(file.find("brief")->dtype, "BF16");
  EXPECT_EQ(file.read(*file.find("brief"), DType::f32).to_vector(), std::vector(3, -0.75));
  EXPECT_EQ(file.find("two"), nullptr);
  std::uint64_t header = 0;
  std::memcpy(&header, read_bytes(path).data(), 8);
  EXPECT_EQ((8 + header) % 64, 0U);
}

TEST(Safetensors, BytesAreDeterministic) {
  const Scratch scratch;
  const Tensor w = Tensor::from<float>({1, 2}, {2});
  write_safetensors(scratch / "a", {{"x", w}, {"y", w}}, {{"k", "v"}, {"a", "b"}});
  write_safetensors(scratch / "b", {{"x", w}, {"y", w}}, {{"a", "b"}, {"k", "v"}});
  EXPECT_EQ(read_bytes(scratch / "a"), read_bytes(scratch / "b"));
}

TEST(Safetensors, RefusesNamesThatCannotBeReadBack) {
  const Scratch scratch;
  const Tensor w = Tensor::from<float>({1}, {1});
  for (const std::string& name : {std::string(), std::string("__metadata__"),
                                  std::string("a\0b", 3), std::string(4097, 'x')}) {
    EXPECT_THROW(write_safetensors(scratch / "f", {{name, w}}, {}), std::invalid_argument);
  }
  EXPECT_THROW(write_safetensors(scratch / "f", {{"a", w}, {"a", w}}, {}), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(scratch / "f"));
}

// A binary16 number by the exponent's bias: 2^112 lifts normal and subnormal numbers alike,
// exactly.
float half_to_float(std::uint16_t bits) {
  const float size = (bits & 0x7C00) == 0x7C00
                         ? std::bit_cast<float>(0x7F800000U | std::uint32_t{bits & 0x3FFU} << 13)
                         : std::bit_cast<float>(std::uint32_t{bits & 0x7FFFU} << 13) * 0x1p112F;
  return (bits & 0x8000) != 0 ? -size : size;
}

TEST(Safetensors, ConvertsEveryHalf) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const Scratch scratch;
  const auto half = read_as(scratch, file_of("F16", all), DType::f32);
  const auto brain = read_as(scratch, file_of("BF16", all), DType::f64);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float want_brain = std::bit_cast<float>(static_cast<std::uint32_t>(i) << 16);
    const float want_half = half_to_float(all[i]);
    if (std::isnan(want_half))
      EXPECT_TRUE(std::isnan(half[i])) << i;
    else
      EXPECT_EQ(half[i], static_cast<double>(want_half)) << i;
    if (std::isnan(want_brain))
      EXPECT_TRUE(std::isnan(brain[i])) << i;
    else
      EXPECT_EQ(brain[i], static_cast<double>(want_brain)) << i;
  }
}

TEST(Safetensors, ConvertsInPieces) {  // more elements than are converted at a time
  std::vector<double> values(300'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const Scratch scratch;
  EXPECT_EQ(read_as(scratch, file_of("F64", values), DType::f32), values);
}

TEST(Safetensors, ReadsIntoItsPlaceAndCountsWhatIsNotFinite) {
  const Scratch scratch;
  constexpr std::size_t kCount = 300'000;  // more than are read at a time
  std::vector<float> values(kCount, 1.5F);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  values[kCount - 1] = -std::numeric_limits<float>::infinity();
  values[8] = std::numeric_limits<float>::max();
  values[9] = std::numeric_limits<float>::denorm_min();
  const auto file = SafetensorsFile::open(scratch.write("f", file_of<float>("F32", values)));
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor out = Tensor::zeros({kCount + 2}, dtype);
    EXPECT_EQ(file.read_into(*file.find("w"), out.slice(0, 1, kCount + 1)), 2);
    const std::vector<double> found = out.to_vector();
    EXPECT_TRUE(std::isnan(found[8]));
    EXPECT_EQ(found[9], std::numeric_limits<float>::max());
    EXPECT_EQ(found[10], std::numeric_limits<float>::denorm_min());
    EXPECT_EQ(found[0], 0.0);
    EXPECT_EQ(found[kCount], -std::numeric_limits<double>::infinity());
    EXPECT_EQ(found[kCount + 1], 0.0);
    EXPECT_THROW(file.read_into(*file.find("w"), out), std::invalid_argument);
  }
}

TEST(Safetensors, RefusesWhatDoesNotFit) {
  const Scratch scratch;
  const auto message = [&](const std::string& bytes, DType dtype) {
    return message_of([&] { read_as(scratch, bytes, dtype); });
  };
  EXPECT_NE(message(file_of<double>("F64", {1, 1e39}), DType::f32)
                .find("\"w\" holds F64 values too large for f32"),
            std::string::npos);
  EXPECT_EQ(message(file_of<double>("F64", {1e38, 1e-300}), DType::f32), "");
  EXPECT_EQ(message(file_of<double>("F64", {std::numeric_limits<double>::infinity()}), DType::f32),
            "")
      << "M86";
  EXPECT_NE(
      message(file_of<std::int32_t>("I32", {1}), DType::f32).find("is I32, where f32 is needed"),
      std::string::npos);
  EXPECT_NE(message(file_of<std::int64_t>("I64", {1}), DType::i32).find("is I64"),
            std::string::npos);
  EXPECT_NE(message(file_of<float>("F32", {1}), DType::i32).find("is F32"), std::string::npos);
}

TEST(Safetensors, FileCutWhileRead) {  // F03
  const Scratch scratch;
  const auto path = scratch.write("f", file_of<float>("F32", std::vector<float>(1000, 1.0F)));
  const auto file = SafetensorsFile::open(path);
  std::filesystem::resize_file(path, 500);
  EXPECT_NE(message_of([&] { file.read(*file.find("w"), DType::f32); }).find("changed"),
            std::string::npos);
}

TEST(Safetensors, SparseTebibyteOpensWithoutAllocating) {  // F04
  const Scratch scratch;
  std::string header =
      R"({"w":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}})";
  const auto path = scratch.write("f", raw(std::vector<std::uint64_t>{header.size()}) + header);
  std::filesystem::resize_file(path, 8 + header.size() + (std::uintmax_t{1} << 40));
  EXPECT_EQ(SafetensorsFile::open(path).find("w")->shape[0], std::int64_t{1} << 38);
}

TEST(Safetensors, SavesOverTheFileThatIsOpen) {  // F11, F12
  const Scratch scratch;
  const auto path = scratch / "f";
  const mode_t before = umask(027);
  write_safetensors(path, {{"w", Tensor::full({4}, DType::f32, 1)}}, {});
  umask(before);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0640});
  const auto old = SafetensorsFile::open(path);
  write_safetensors(path, {{"w", Tensor::full({4}, DType::f32, 2)}}, {});
  EXPECT_EQ(old.read(*old.find("w"), DType::f32).to_vector(), std::vector<double>(4, 1.0));
  const auto now = SafetensorsFile::open(path);
  EXPECT_EQ(now.read(*now.find("w"), DType::f32).to_vector(), std::vector<double>(4, 2.0));
}

// What was understood of a file, written again in the form of the file below.
std::string written_again(const SafetensorsFile& file, const std::string& data) {
  Json header = Json::object();
  Json metadata = Json::object();
  for (const auto& [key, text] : file.metadata()) metadata.add(key, text);
  header.add("__metadata__", metadata);
  for (const SafetensorsEntry& entry : file.entries()) {
    Json shape = Json::list();
    for (const std::int64_t extent : entry.shape) shape.push_back(extent);
    Json json = Json::object();
    json.add("dtype", entry.dtype);
    json.add("shape", shape);
    json.add("data_offsets", Json::list({entry.begin, entry.end}));
    header.add(entry.name, json);
  }
  std::string text = header.dump();
  const std::size_t escaped = text.find("\\u007f");  // what JSON leaves to the writer
  if (escaped != std::string::npos) text.replace(escaped, 6, "\x7f");
  return raw(std::vector<std::uint64_t>{text.size()}) + text + data;
}

// Every truncation and every change of one byte of a valid file: refused, or understood as exactly
// what it says.
TEST(Safetensors, NothingNearAValidFileIsMisread) {
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})";
  const std::string valid = raw(std::vector<std::uint64_t>{header.size()}) + header +
                            raw(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  const Scratch scratch;
  const auto path = scratch.write("f", valid);
  ASSERT_EQ(written_again(SafetensorsFile::open(path), valid.substr(8 + header.size())), valid);
  std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
  int accepted = 0;
  for (std::size_t at = 0; at < valid.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = valid;
      changed[at] = static_cast<char>(byte);
      if (changed == valid) continue;
      out.seekp(static_cast<std::streamoff>(at)).put(changed[at]).flush();
      try {
        const auto file = SafetensorsFile::open(path);
        ++accepted;
        ASSERT_EQ(written_again(file, changed.substr(8 + header.size())), changed)
            << at << ' ' << byte;
      } catch (const std::runtime_error&) {
      }
    }
    out.seekp(static_cast<std::streamoff>(at)).put(valid[at]).flush();
  }
  EXPECT_GT(accepted, 32 * 255) << "every change of the data is legal";
  for (std::size_t size = 0; size < valid.size(); ++size) {
    std::filesystem::resize_file(path, size);
    EXPECT_THROW(SafetensorsFile::open(path), std::runtime_error) << size;
    scratch.write("f", valid);
  }
}

}  // namespace
}  // namespace holdfast
